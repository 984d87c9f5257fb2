"""Whether a challenger may become the champion of its study."""
