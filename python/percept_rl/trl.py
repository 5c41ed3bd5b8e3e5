"""percept's methods inside TRL (checked with TRL 1.16.0).

::

    from percept_rl.trl import GRPOTrainer

    trainer = GRPOTrainer(model, reward_funcs, args=GRPOConfig(...), train_dataset=...,
                          advantage="durian", token_weight=["tor", {"name": "fipo", "decay_rate": 32}])

`DPOTrainer` is TRL's with AdaViP and percept's other preference losses.

Generation, rewards, loss and optimiser stay TRL's. Advantages are percept's, one per token; the signals
that a method reads are computed here, each only when asked for: old log-probabilities, entropies (of
the nucleus for ToR), a pass without the image, visual entropy (a data column ``visual_entropy``, or
from the model's image features). FIPO's weight is put on the advantages after each forward pass.

Differences from percept's own trainer: TRL's normalisers count the tokens of responses that could not
be graded and of those that FIPO drops (their advantage is 0); groups have no expert trajectories.
"""

import math
import warnings

import torch
from accelerate.utils import gather_object
from trl import GRPOTrainer as _GRPOTrainer

import percept_rl
from percept_rl._recipe import credit, names
from percept_rl._trl_dpo import DPOTrainer

__all__ = ["DPOTrainer", "GRPOTrainer", "nucleus_entropy"]

HINTS = {
    "log_prob_no_image": "the batch has no images; leave ToR and TGRL to vision-language data",
    "visual_entropy": 'the batch has no images and no column "visual_entropy"',
}


class GRPOTrainer(_GRPOTrainer):
    """TRL's `GRPOTrainer` with percept's advantages and token weights.

    Parameters
    ----------
    advantage : str or dict
        Estimator: ``"grpo"``, ``"durian"``, ``{"name": "durian", "reasoning_buckets": 10}``, ...; it replaces
        TRL's ``scale_rewards``. `percept_rl.methods` lists names.
    token_weight : sequence of str or dict
        ``"tor"``, ``"direction"``, ``"fipo"``, ...; their product multiplies the advantages.
    renormalize_weight : bool
        Whether weights are scaled to mean 1 over trained tokens.

    All other arguments are TRL's. Raises ValueError where a choice cannot work, with the reason; warns
    where it has no effect.
    """

    _tag_names = ["trl", "grpo", "percept"]

    def __init__(self, *args, advantage="grpo", token_weight=(), renormalize_weight=False, **kwargs):
        if isinstance(token_weight, (str, dict)):
            token_weight = [token_weight]
        self.algorithm = {
            "advantage": advantage,
            "token_weight": list(token_weight),
            "renormalize_weight": renormalize_weight,
        }
        self.percept_needs = percept_rl.needs(self.algorithm)
        self._percept_rewards = None
        self._percept_update = None
        config = kwargs.get("args", args[2] if len(args) > 2 else None)
        self._refuse(config)
        super().__init__(*args, **kwargs)
        if "fipo" in names(self.algorithm) and self.args.delta is not None:
            # One number in FIPO's code: TRL's dual clip is the loss's.
            clip = {"policy_loss": {"name": "ppo", "clip_ratio_c": float(self.args.delta)}}
            self.algorithm["loss"] = clip
            percept_rl.needs(self.algorithm)  # refuses another clip_ratio_c of FIPO's own
        self._warn()

    def _refuse(self, config):
        if config is None:
            return
        if getattr(config, "use_liger_kernel", False):
            raise ValueError(
                "use_liger_kernel=True cannot be combined with per-token advantages: Liger's fused GRPO loss takes one "
                "advantage per response and never shows the log-probabilities that token weights read. Set it to "
                'False; model_init_kwargs={"use_kernels": True} brings layer kernels without the fused loss'
            )
        if getattr(config, "multi_objective_aggregation", "sum_then_normalize") != "sum_then_normalize":
            raise ValueError(
                f"multi_objective_aggregation={config.multi_objective_aggregation!r} normalises each reward by itself; "
                "percept's estimators take their sum: set it to 'sum_then_normalize'"
            )
        if config.loss_type == "vespo":
            raise ValueError("loss_type='vespo' weighs whole sequences by their one advantage: choose another loss_type")

    def _warn(self):
        chosen, args = names(self.algorithm), self.args
        updates = args.steps_per_generation * self.num_iterations / args.gradient_accumulation_steps
        if "fipo" in chosen and updates <= 1:
            warnings.warn(
                "FIPO has no effect: there is one update per rollout, so the policy has not moved when it is weighed. "
                "Set num_iterations > 1, or steps_per_generation > gradient_accumulation_steps",
                stacklevel=3,
            )
        if "fipo" in chosen and args.delta is None:
            warnings.warn(
                "FIPO is published with a dual clip: set delta=10.0, which is then its clip_ratio_c too", stacklevel=3
            )
        if chosen[0] == "dr_grpo" and args.loss_type != "dr_grpo":
            warnings.warn(
                f"Dr.GRPO's loss goes with its advantage, and loss_type is {args.loss_type!r}: set loss_type='dr_grpo'",
                stacklevel=3,
            )
        if "tgrl" in chosen:
            warnings.warn("TGRL without expert trajectories is its base method: TRL's groups have none", stacklevel=3)
        if args.scale_rewards != "group":
            warnings.warn(f"scale_rewards={args.scale_rewards!r} is not read: `advantage` decides", stacklevel=3)

    # Rollout stage ----------------------------------------------------------------------------------

    def _calculate_rewards(self, *args, **kwargs):
        self._percept_rewards = super()._calculate_rewards(*args, **kwargs)
        return self._percept_rewards

    def _generate_and_score_completions(self, inputs):
        output = super()._generate_and_score_completions(inputs)
        mode = "train" if self.model.training else "eval"
        rows = {key: value.float().cpu().numpy() for key, value in self._percept_signals(output, inputs).items()}
        mask = self._percept_mask(output).bool().cpu().numpy()
        found = self._percept_credit(mask, rows, mode)
        output["advantages"] = torch.from_numpy(found["advantage"]).to(output["completion_mask"].device)
        for name, value in found["stats"].items():
            self._metrics[mode][name].append(value)
        return output

    def _percept_mask(self, batch):
        mask = batch["completion_mask"]
        return mask * batch["tool_mask"] if "tool_mask" in batch else mask

    def _percept_credit(self, mask, rows, mode):
        """Credit of the whole rollout batch, over all processes; this process's rows of it."""
        local = [
            {"mask": mask[row], **{key: value[row] for key, value in rows.items()}} for row in range(len(mask))
        ]
        everyone = gather_object(local)
        width = max(len(row["mask"]) for row in everyone)
        rewards = self._percept_rewards
        total = (rewards * self.reward_weights.to(rewards.device).unsqueeze(0)).nansum(dim=1)
        total[torch.isnan(rewards).all(dim=1)] = torch.nan  # no function could grade it
        group_size = self.num_generations if mode == "train" else self.num_generations_eval
        batch = {
            "response_mask": _stack([row["mask"] for row in everyone], width, False),
            "group": torch.arange(len(everyone)) // group_size,
            "reward": total.double().cpu(),
        }
        for key in rows:
            values = [row[key] for row in everyone]
            batch[key] = torch.tensor(values) if values[0].ndim == 0 else _stack(values, width, 0.0)
        found = credit(self.algorithm, batch, HINTS)
        start = self.accelerator.process_index * len(mask)
        found["advantage"] = found["advantage"][start : start + len(mask), : mask.shape[1]].copy()
        return found

    @torch.no_grad()
    def _percept_signals(self, batch, inputs):
        """The signals that the methods read, ``[rows, width]`` or ``[rows]``."""
        needs, out = self.percept_needs, {}
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        width = batch["completion_ids"].size(1)
        model_inputs = {key: batch[key] for key in FORWARD if key in batch}
        top_p, old = needs["nucleus_entropy"], batch.get("old_per_token_logps")
        wants_old = needs["old_log_prob"] or needs["log_prob_no_image"]
        if needs["entropy"] or top_p == 1.0 or (wants_old and old is None):
            log_prob, entropy, _ = self._per_token(ids, attention, width, model_inputs)
            old = log_prob if old is None else old
            out["entropy"] = entropy
        if wants_old:
            out["old_log_prob"] = old
        if top_p == 1.0:
            out["nucleus_entropy"] = out["entropy"]
        elif top_p is not None:
            out["nucleus_entropy"] = self._nucleus_entropy(ids, attention, width, model_inputs, top_p)
        if needs["log_prob_no_image"]:
            out["log_prob_no_image"] = self._log_prob_no_image(batch, ids, attention, width)
        if needs["visual_entropy"]:
            out["visual_entropy"] = self._visual_entropy(batch, inputs)
        return {key: value for key, value in out.items() if value is not None}

    def _per_token(self, ids, attention, width, model_inputs):
        return super()._get_per_token_logps_and_entropies(
            self.model, ids, attention, width, batch_size=self.args.per_device_train_batch_size, compute_entropy=True,
            **model_inputs,
        )

    def _nucleus_entropy(self, ids, attention, width, model_inputs, top_p):
        """Entropy of the next-token distribution cut to its nucleus and renormalised (ToR, eq. 5)."""
        rows = []
        for row in range(len(ids)):
            one = _row_of(model_inputs, row)
            with self.accelerator.autocast():
                logits = self.model(input_ids=ids[row : row + 1], attention_mask=attention[row : row + 1], **one).logits
            rows.append(nucleus_entropy(logits[0, -width - 1 : -1].float() / self.temperature, top_p))
        return torch.stack(rows)

    def _log_prob_no_image(self, batch, ids, attention, width):
        """The same responses after the prompt without its image; NaN on rows that have none."""
        if "pixel_values" not in batch:
            return None
        drop = _vision_ids(self.model.config)
        prompt_width = ids.size(1) - width
        is_vision = torch.isin(ids[:, :prompt_width], torch.tensor(sorted(drop), device=ids.device))
        keep = attention[:, :prompt_width].bool() & ~is_vision
        prompts = [row[kept] for row, kept in zip(ids[:, :prompt_width], keep, strict=True)]
        longest = max(len(prompt) for prompt in prompts)
        blind, seen = ids.new_full((len(ids), longest), self._tokenizer.pad_token_id), attention.new_zeros(len(ids), longest)
        for row, prompt in enumerate(prompts):
            blind[row, longest - len(prompt) :] = prompt
            seen[row, longest - len(prompt) :] = 1
        blind = torch.cat([blind, ids[:, prompt_width:]], dim=1)
        seen = torch.cat([seen, attention[:, prompt_width:]], dim=1)
        text = {"mm_token_type_ids": torch.zeros_like(blind)} if "mm_token_type_ids" in batch else {}
        log_prob, _, _ = self._per_token(blind, seen, width, text)
        return log_prob.masked_fill(~is_vision.any(dim=1, keepdim=True), math.nan)

    def _visual_entropy(self, batch, inputs):
        if all("visual_entropy" in row for row in inputs):
            return torch.tensor([float(row["visual_entropy"]) for row in inputs])
        if "image_grid_thw" not in batch:
            return None
        model = self.accelerator.unwrap_model(self.model)
        features = model.get_image_features(batch["pixel_values"], batch["image_grid_thw"])
        features = getattr(features, "pooler_output", features)
        entropies = iter([percept_rl.visual_entropy(one.float().cpu().numpy()) for one in features])
        rows = [[next(entropies) for _ in range(count)] for count in batch["num_images"]]
        return torch.tensor([sum(row) / len(row) if row else math.nan for row in rows])

    # Update stage -----------------------------------------------------------------------------------

    def _compute_loss(self, model, inputs):
        # TRL reads inputs["advantages"] after its forward pass; FIPO's weight is put there in between.
        self._percept_update = dict(inputs) if "fipo" in names(self.algorithm) else None
        try:
            return super()._compute_loss(model, inputs if self._percept_update is None else self._percept_update)
        finally:
            self._percept_update = None

    def _get_per_token_logps_and_entropies(self, *args, **kwargs):
        result = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        batch = self._percept_update
        if batch is not None:
            log_prob = result[0].detach().float()
            old = batch.get("old_per_token_logps")
            found = percept_rl.reweight(
                self.algorithm,
                {
                    "response_mask": self._percept_mask(batch).bool().cpu(),
                    "advantage": batch["advantages"].cpu(),
                    "log_prob": log_prob.cpu(),
                    "old_log_prob": (log_prob if old is None else old.float()).cpu(),
                },
            )
            batch["advantages"] = torch.from_numpy(found["advantage"]).to(batch["advantages"])
            mode = "train" if self.model.training else "eval"
            for name, value in found["stats"].items():
                self._metrics[mode][name].append(value)
        return result


FORWARD = (
    "pixel_values", "image_grid_thw", "num_images", "pixel_attention_mask", "spatial_shapes", "num_tiles", "image_sizes",
    "token_type_ids", "mm_token_type_ids", "image_position_ids",
)
"""What a batch may hold for the model beside its tokens."""


def nucleus_entropy(logits, top_p):
    """``[tokens]`` entropy (nats) of ``softmax(logits)`` cut to the smallest set of probability `top_p`."""
    probs, _ = logits.softmax(dim=-1).sort(dim=-1, descending=True)
    inside = probs.cumsum(dim=-1) - probs < top_p  # the token that crosses the border belongs to it
    probs = probs * inside
    probs = probs / probs.sum(dim=-1, keepdim=True)
    return torch.special.entr(probs).sum(dim=-1)


def _row_of(model_inputs, row):
    """One row's part of the model's inputs (images are stored one after the other)."""
    out = {}
    for key in ("token_type_ids", "mm_token_type_ids"):
        if key in model_inputs:
            out[key] = model_inputs[key][row : row + 1]
    if "pixel_values" not in model_inputs:
        return out
    if "image_grid_thw" not in model_inputs:
        raise ValueError(
            "the nucleus entropy is computed for models of the Qwen-VL kind and for text; for this model set "
            "entropy_top_p = 1.0, the entropy of the whole distribution"
        )
    images, grid = model_inputs["num_images"], model_inputs["image_grid_thw"]
    first, count = sum(images[:row]), images[row]
    if count:
        patches = grid.prod(dim=-1)
        start, end = int(patches[:first].sum()), int(patches[: first + count].sum())
        out["pixel_values"], out["image_grid_thw"] = model_inputs["pixel_values"][start:end], grid[first : first + count]
    return out


def _vision_ids(config):
    fields = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id", "image_token_index")
    found = {getattr(config, field, None) for field in fields} - {None}
    if not found:
        raise ValueError("the model's config names no image token: the pass without the image has nothing to remove")
    return found


def _stack(rows, width, fill):
    out = torch.full((len(rows), width), fill)
    for row, values in enumerate(rows):
        out[row, : len(values)] = torch.as_tensor(values)
    return out
