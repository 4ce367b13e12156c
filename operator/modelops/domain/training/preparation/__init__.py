"""What a training needs before it can be priced: its prerequisites, its dataset, its recipe."""
