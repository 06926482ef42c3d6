"""Other PPO implementations on the same market, network and number of epochs."""
