"""ppo_policy: the clone, improved by trading the training span."""
