"""percept's preference losses inside TRL's DPOTrainer; imported by `percept_rl.trl`."""

import numpy as np
import torch
from trl import DPOTrainer as _DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

import percept_rl

COLUMN = "rejected_images"
VISUAL = "chosen_rejected_image"
PREFIX = f"{COLUMN}."


class RejectedImageCollator(DataCollatorForVisionPreference):
    """TRL's collator, and beside its output the chosen answers with the rejected pictures."""

    def torch_call(self, examples):
        for example in examples:
            if not example.get(COLUMN):
                raise ValueError(f"a row has no {COLUMN!r}, which the loss compares `images` with; found {sorted(example)}")
        other = [dict(example, images=example[COLUMN]) for example in examples]
        for example in other:
            example.pop("image", None)
        visual = super().torch_call(other)
        out = super().torch_call([dict(example) for example in examples])
        # The collator puts the chosen before the rejected answers, and repeats the pictures likewise.
        out.update({PREFIX + key: value[: len(value) // 2] for key, value in visual.items()})
        return out


class DPOTrainer(_DPOTrainer):
    """TRL's `DPOTrainer` with percept's preference losses, AdaViP above all.

    Parameters
    ----------
    loss : str or dict
        ``"adavip"``, ``{"name": "adavip", "anchor_weight": 0.5}``, ``"mdpo"``, ...: any loss that contrasts chosen, rejected
        and rejected-picture responses by their log-probabilities (`percept_rl.preference_needs`). Its ``beta`` is
        ``args.beta`` unless given. `args.loss_type` is not read.

    The data need a column ``rejected_images`` beside ``images`` when the loss asks for it: the rejected picture. All
    other arguments are TRL's. Data preparation, reference, optimiser and TRL's metrics stay TRL's; the loss's own
    (``weights/...``, ``rewards/chosen_rejected_image/...``) are added.

    Raises ValueError where a choice cannot work, with the reason.
    """

    _tag_names = ["trl", "dpo", "percept"]

    def __init__(self, *args, loss="adavip", **kwargs):
        config = {"name": loss} if isinstance(loss, str) else dict(loss)
        needs = percept_rl.preference_needs(config)
        super().__init__(*args, **kwargs)
        self.preference = {"beta": self.beta, **config}
        self._percept_visual = VISUAL in needs["kinds"]
        self._refuse(needs)
        if self._percept_visual and type(self.data_collator) is DataCollatorForVisionPreference:
            own = self.data_collator
            self.data_collator = RejectedImageCollator(own.processor, own.max_length, own.pad_to_multiple_of)

    def _refuse(self, needs):
        other = set(needs["kinds"]) - {"chosen", "rejected", VISUAL}
        reads = {key for kind in needs["kinds"].values() for key in ("ref_kl", "phrase") if kind[key]}
        reads |= {key for key in ("clip_gap", "confidence", "draw", "per_token") if needs[key]}
        name = self.preference["name"]
        if other or reads:
            raise ValueError(
                f"loss {name!r} reads {', '.join(sorted(other | reads))}, which TRL's DPOTrainer does not compute; "
                "choose a loss of chosen, rejected and rejected-picture log-probabilities, such as 'adavip' or 'mdpo'"
            )
        if needs["whole_batch"] and self.args.gradient_accumulation_steps > 1:
            raise ValueError(f"loss {name!r} compares the pairs of a whole batch: set gradient_accumulation_steps=1")
        if self._percept_visual and not self._is_vision_dataset:
            raise ValueError(f"loss {name!r} needs pictures: columns 'images' and {COLUMN!r}")
        if self.ld_alpha is not None or self.use_weighting or self.f_divergence_type != "reverse_kl":
            raise ValueError("ld_alpha, use_weighting and f_divergence_type are of TRL's own losses; leave them out")
        if self.aux_loss_enabled:
            raise ValueError("the auxiliary loss of mixture-of-experts models is not supported here")

    def _set_signature_columns_if_needed(self):
        super()._set_signature_columns_if_needed()
        if COLUMN not in self._signature_columns:
            self._signature_columns.append(COLUMN)

    def _compute_loss(self, model, inputs, return_outputs):
        visual = {key[len(PREFIX) :]: value for key, value in inputs.items() if key.startswith(PREFIX)}
        inputs = {key: value for key, value in inputs.items() if not key.startswith(PREFIX)}
        reference = self.model if self.ref_model is None else self.ref_model
        with Listener(model, reference) as heard:
            found = super()._compute_loss(model, inputs, return_outputs)
        mask = inputs["completion_mask"][..., 1:]
        policy = sums(heard[0].log_probs, mask)
        if self.precompute_ref_logps:
            known = torch.cat([inputs["ref_chosen_logps"], inputs["ref_rejected_logps"]])
        else:
            known = sums(heard[1].log_probs, mask)
        policies, references = (dict(zip(("chosen", "rejected"), value.chunk(2))) for value in (policy, known))
        lengths = dict(zip(("chosen", "rejected"), mask.sum(dim=1).chunk(2)))
        if self._percept_visual:
            policies[VISUAL] = self._visual_policy(model, visual)
            references[VISUAL] = torch.cat(self.compute_ref_log_probs(reference, visual))
            lengths[VISUAL] = visual["completion_mask"][..., 1:].sum(dim=1)
        loss = self._preference(policies, references, lengths)
        return (loss, found[1]) if return_outputs else loss

    def _visual_policy(self, model, visual):
        labels = visual["input_ids"].masked_fill(visual["completion_mask"] == 0, -100)
        passed = {key: value for key, value in visual.items() if key != "completion_mask"}
        outputs = model(**passed, labels=labels, use_cache=False, fused_lm_head=True)
        return sums(outputs.log_probs, visual["completion_mask"][..., 1:])

    def _preference(self, policies, references, lengths):
        """The loss as a tensor that hands percept's gradient to autograd."""
        numbers = lambda value: value.detach().float().cpu().numpy()
        batch = {
            kind: {
                "log_prob": numbers(policies[kind]),
                "ref_log_prob": numbers(references[kind]),
                "length": lengths[kind].cpu().numpy().astype(np.int64),
            }
            for kind in policies
        }
        found = percept_rl.preference_loss(self.preference, batch)
        linear = sum(
            (value * torch.from_numpy(found.gradients[kind]["log_prob"]).to(value)).sum()
            for kind, value in policies.items()
            if kind in found.gradients
        )
        self._record(found.metrics, linear.device)
        return linear + (found.loss - linear).detach()

    def _record(self, metrics, device):
        log = self._metrics["train" if self.model.training else "eval"]
        for name, value in metrics.items():
            if name.startswith("weights/") or VISUAL in name or name not in log:
                value = torch.tensor(value, device=device, dtype=torch.float32)
                log[name].append(self.accelerator.gather_for_metrics(value).mean().item())


class Listener:
    """What models returned while it was open, in order."""

    def __init__(self, *models):
        self.models = {id(model): model for model in models}.values()

    def __enter__(self):
        heard = []
        hook = lambda _module, _inputs, output: heard.append(output)
        self.hooks = [model.register_forward_hook(hook) for model in self.models]
        return heard

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()


def sums(log_probs, mask):
    """`[rows]` log-probabilities of the completions; positions of prompt-learning's virtual tokens are left out."""
    return log_probs[:, -mask.size(1) :].sum(dim=1)
