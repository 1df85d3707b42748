"""A model for Triton's python backend that looks its answers up. It runs in Triton's own environment."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

_SPARSE = 29


class TritonPythonModel:
    """One instance of one model; the name is the backend's protocol."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the answers: float32 [n, 5], boxes and scores, by the picture's key."""
        with np.load(Path(args["model_repository"]) / args["model_version"] / "answers.npz") as answers:
            self.answers = dict(answers)
        (boxes, _) = json.loads(args["model_config"])["output"]
        self.most = int(boxes["dims"][0])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer every request by itself."""
        return [self._answer(pb_utils.get_input_tensor_by_name(request, "image").as_numpy()) for request in requests]

    def _answer(self, images: Any) -> Any:
        try:
            found = np.stack([self._known(image) for image in images])
        except KeyError as unknown:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"nobody told what is in {unknown}"))
        tensors = [pb_utils.Tensor("boxes", found[..., :4].copy()), pb_utils.Tensor("scores", found[..., 4].copy())]
        return pb_utils.InferenceResponse(output_tensors=tensors)

    def _known(self, image: Any) -> Any:
        digest = hashlib.sha256(repr(image.shape).encode() + image[::_SPARSE, :: _SPARSE + 2].tobytes())
        answer = np.zeros((self.most, 5), np.float32)
        known = self.answers[digest.hexdigest()]
        answer[: len(known)] = known
        return answer
