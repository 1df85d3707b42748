"""What stitching costs and how good it is, beside Hugin's nona and enblend."""
