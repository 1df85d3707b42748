"""What crosses a boundary: messages, manifests, rigs, recipes, object keys, errors."""
