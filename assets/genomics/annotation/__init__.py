"""Gene and consequence of a variant, from the file or by place."""
