"""Arrays to arrays: what two or more services do with pixels. Images are uint8 [H, W, 3] in RGB order everywhere."""
