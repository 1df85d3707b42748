"""What the templates of k8s-or-ecs take from the code: how many tasks a stage should have, and which alerts there are."""
