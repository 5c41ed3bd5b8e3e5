"""verl's synchronous trainer with the signals that vision-language methods read.

``VERL_USE_EXTERNAL_MODULES=percept_rl.verl_trainer`` makes verl import this module, and
``trainer.v1.trainer_mode=percept_sync`` selects the trainer. When a chosen method asks for it, each
step makes one more forward pass of the actor over the same responses with the image taken out of the
prompt (a shorter one: the image's tokens are gone), and estimators see the entropies and
log-probabilities of the old policy.

Rows are those of verl 0.9.1's TransferQueue: nested tensors, one per response.
"""

import torch
import transfer_queue as tq
from tensordict import TensorDict
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

import percept_rl
from percept_rl import verl as plugin

BLIND = "percept_no_image"
"""Partition that holds the rows without image while they are scored."""


def without_image(input_ids, response_length, vision_ids):
    """The sequence with the prompt's image tokens removed (they may stand in the prompt only)."""
    prompt = input_ids[: len(input_ids) - response_length]
    keep = ~torch.isin(prompt, torch.as_tensor(sorted(vision_ids), dtype=prompt.dtype, device=prompt.device))
    return torch.cat([prompt[keep], input_ids[len(prompt) :]])


def text_positions(length, like):
    """Positions of plain text, in the form of `like` (``[length]`` or ``[axes, length]`` for M-RoPE)."""
    positions = torch.arange(length, dtype=like.dtype, device=like.device)
    return positions if like.dim() == 1 else positions.expand(like.shape[0], length)


def vision_ids(hf_config):
    """Ids of image and video tokens, and of the marks around them."""
    fields = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id", "image_token_index")
    found = {getattr(hf_config, field, None) for field in fields} - {None}
    if not found:
        raise ValueError("the model's config names no image token: the pass without the image has nothing to remove")
    return found


class PerceptSignals:
    """The signals, as a mix-in of a `PPOTrainer` of verl."""

    def _compute_old_log_prob(self, batch, metrics):
        batch = super()._compute_old_log_prob(batch, metrics)
        if percept_rl.needs(self._percept_table())["log_prob_no_image"]:
            self._compute_log_prob_no_image(batch)
        return batch

    def _compute_advantage(self, batch, metrics):
        with plugin.signals(**self._percept_signals(batch)):
            batch = super()._compute_advantage(batch, metrics)
        metrics.update(plugin.last_stats)
        return batch

    def _percept_table(self):
        name = self.config.algorithm.adv_estimator
        default = plugin._estimators().get(str(name).removeprefix("percept_"), {})
        return plugin._recipe(name, default) if str(name).startswith("percept") else {}

    def _vision_ids(self):
        from transformers import AutoConfig

        model = self.config.actor_rollout_ref.model
        return vision_ids(AutoConfig.from_pretrained(model.path, trust_remote_code=model.get("trust_remote_code", False)))

    def _compute_log_prob_no_image(self, batch):
        """One forward pass over the batch without its images; adds the field ``log_prob_no_image``."""
        fields = ["input_ids", "position_ids", "prompts", "responses", "response_mask", "multi_modal_inputs"]
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        drop = self._vision_ids()
        whole, like = data["input_ids"].unbind(), data["position_ids"].unbind()
        lengths = [len(row) for row in data["responses"].unbind()]
        rows = [without_image(ids, n, drop) for ids, n in zip(whole, lengths, strict=True)]
        seen = [len(a) != len(b) for a, b in zip(rows, whole, strict=True)]
        blind = {
            "input_ids": _nested(rows),
            "position_ids": _nested([text_positions(len(r), p) for r, p in zip(rows, like, strict=True)]),
            "prompts": _nested([r[: len(r) - n] for r, n in zip(rows, lengths, strict=True)]),
            "responses": data["responses"],
            "response_mask": data["response_mask"],
            "loss_mask": data["response_mask"],
        }
        keys = [f"{key}_{BLIND}" for key in batch.keys]
        queued = tq.kv_batch_put(
            keys=keys,
            partition_id=BLIND,
            fields=TensorDict(blind, batch_size=len(keys)),
            tags=[
                {**tag, "prompt_len": len(r) - n, "seq_len": len(r)}
                for tag, r, n in zip(batch.tags, rows, lengths, strict=True)
            ],
        )
        queued.extra_info.update(batch.extra_info)
        queued.extra_info.update({"calculate_entropy": False, "compute_loss": False})
        try:
            self.actor_rollout_wg.compute_log_prob(queued)
            scored = tq.kv_batch_get(keys=keys, partition_id=BLIND, select_fields=["log_probs"])
        finally:
            tq.kv_clear(keys=keys, partition_id=BLIND)
        # Position t holds the log-probability of token t + 1.
        scored = [row[len(row) - n - 1 : len(row) - 1] for row, n in zip(scored["log_probs"].unbind(), lengths)]
        # A row that never had an image has no perception score.
        log_prob = [row if saw else torch.full_like(row, torch.nan) for row, saw in zip(scored, seen)]
        tq.kv_batch_put(
            keys=batch.keys,
            partition_id=batch.partition_id,
            fields=TensorDict({"log_prob_no_image": _nested(log_prob)}, batch_size=len(batch.keys)),
        )

    def _percept_signals(self, batch):
        """What the estimators may read beyond verl's arguments, padded."""
        needs = percept_rl.needs(self._percept_table())
        fields = {
            "old_log_probs": needs["old_log_prob"] or needs["log_prob_no_image"],
            "entropy": needs["entropy"] or needs["nucleus_entropy"] is not None,
            "log_prob_no_image": needs["log_prob_no_image"],
            "visual_entropy": needs["visual_entropy"],
        }
        fields = [name for name, wanted in fields.items() if wanted]
        if not fields:
            return {}
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        return {name: _padded(data[name]) for name in fields if name in data.keys()}


def _nested(rows):
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)


def _padded(value):
    if isinstance(value, torch.Tensor):
        return torch.nested.to_padded_tensor(value, 0.0) if value.is_nested else value
    return [float(entry) for entry in value]


@register_trainer("percept_sync")
class PerceptTrainer(PerceptSignals, PPOTrainerSync):
    """`PPOTrainerSync` with percept's signals."""
