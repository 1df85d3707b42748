"""`python -m console.observe.dashboards`: writes the provisioned JSON anew."""

from console.observe.dashboards.pages import FOLDER, texts

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text)
        print(FOLDER / name)
