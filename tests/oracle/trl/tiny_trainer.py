"""A real trl.GRPOTrainer on a tiny model of tests/oracle/model whose completions and rewards are given.

Shared by make_loss.py, make_advantage.py and make_replay.py. Nothing of TRL's arithmetic is
overridden: completions come through its `rollout_func`, rewards through an ordinary reward function.
"""
import logging
import os
import tempfile
import warnings

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch
from datasets import Dataset
from peft import LoraConfig
from peft.utils import set_peft_model_state_dict
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

torch.set_num_threads(2)
ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
EOS, PAD = 2, 0


def tokenizer_for(vocab_size):
    """TRL insists on a tokenizer; it only decodes our ids with it, and nobody reads the text."""
    words = Tokenizer(models.WordLevel({f"t{i}": i for i in range(vocab_size)}, unk_token="t0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token=f"t{EOS}", pad_token=f"t{PAD}")


class Script:
    """What the trainer is given: for each prompt its ids and, a sample at a time, ids and reward."""

    def __init__(self, prompts):
        self.prompts = {p["prompt_id"]: p for p in prompts}

    def dataset(self):
        return Dataset.from_list([{"prompt": name} for name in self.prompts])

    def rollout(self, prompts, trainer):
        samples, taken = [], {}
        for name in prompts:
            sample = taken[name] = taken.get(name, -1) + 1
            samples.append(self.prompts[name]["samples"][sample])
        return {"prompt_ids": [self.prompts[n]["prompt_ids"] for n in prompts],
                "completion_ids": [s["ids"] for s in samples], "logprobs": None,
                "given_reward": [s["reward"] for s in samples]}

    @staticmethod
    def reward(completions, given_reward, **_):
        return given_reward


def make_trainer(model_folder, lora, script, adapter=None, callbacks=None, **options):
    """`lora`: LoraConfig's keys. The adapter is handed over as `peft_config` and its values are
    loaded afterwards: then, and only then, the KL reference is the bare base model."""
    model = AutoModelForCausalLM.from_pretrained(os.path.join(ROOT, model_folder), dtype=torch.float32)
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(), use_cpu=True, bf16=False, gradient_checkpointing=False,
        report_to=[], logging_steps=1, save_strategy="no", shuffle_dataset=False, disable_tqdm=True,
        optim="adamw_torch", **options)
    trainer = GRPOTrainer(
        model=model, reward_funcs=script.reward, args=config, train_dataset=script.dataset(),
        processing_class=tokenizer_for(model.config.vocab_size), rollout_func=script.rollout, callbacks=callbacks,
        peft_config=LoraConfig(task_type="CAUSAL_LM", **lora))
    if adapter:
        state = load_file(os.path.join(ROOT, adapter, "adapter_model.safetensors"))
        result = set_peft_model_state_dict(trainer.model, state)
        assert not result.unexpected_keys, result
    assert all(p.dtype == torch.float32 for p in trainer.model.parameters())
    return trainer
