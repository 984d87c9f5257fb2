"""What runs ask about a study: its champion, its steps, whether to train again."""
