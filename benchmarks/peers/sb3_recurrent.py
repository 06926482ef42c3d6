"""sb3-contrib's RecurrentPPO on the spot environment: two LSTM layers of 256, 0.86M parameters.

Discrete(3) at the fixed strength 1; observations padded with zeros to 64. Actor and critic share
the LSTM (by default each has its own). A batch is split into whole sequences, which the policy
walks step by step because episodes start inside it: large batches of many accounts are fastest.
"""

from sb3_contrib import RecurrentPPO

from benchmarks.peers.sb3_env import AccountVecEnv
from benchmarks.peers.sb3_ppo import learn_steps_per_second, learning_settings

WIDTH = 64
LSTM_HIDDEN, LSTM_LAYERS = 256, 2


def run_sb3_recurrent(
    total_steps: int, epochs: int, num_envs: int = 16, num_steps: int = 1024, batch: int = 1024
) -> float:
    """Environment steps a second, learning included."""
    network = {
        "net_arch": [], "lstm_hidden_size": LSTM_HIDDEN, "n_lstm_layers": LSTM_LAYERS,
        "shared_lstm": True, "enable_critic_lstm": False,
    }  # fmt: skip
    env, settings = AccountVecEnv(num_envs, WIDTH), learning_settings(num_steps, batch, epochs)
    model = RecurrentPPO("MlpLstmPolicy", env, policy_kwargs=network, **settings)
    return learn_steps_per_second(model, total_steps)
