"""PPO: rollout, advantages, update, what is told of it."""
