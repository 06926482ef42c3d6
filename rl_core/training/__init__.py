"""The learners: behaviour cloning and PPO, with their pure losses beside them."""
