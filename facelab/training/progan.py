"""Training of the progressive GAN (Karras et al. 2018): Wasserstein loss with gradient penalty, growing by doubling.

That loss need not converge (Mescheder et al. 2018, section 3): with few channels the scores swing, and the colours of
all pictures with them. The logistic loss with R1, which does, stands beside it.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from facelab.generators.progan import ProGAN, ProGANCritic, twice_as_large
from facelab.training.growth import Stage, show_at, stage_after
from facelab.training.losses import discriminator_loss, generator_loss, r1_penalty
from facelab.training.networks import NetworksTrainer, shaped_by_start
from facelab.training.settings import ProGANSettings, refuse_half_grown

BETAS = (0.0, 0.99)
PENALTY = 10.0  # weight of the gradient penalty (Gulrajani et al. 2017)
DRIFT = 0.001  # weight of the squared score of real pictures (appendix A.1)
R1_GAMMA, R1_INTERVAL = 0.2, 8  # of the logistic loss: weight, and the steps between penalties
AVERAGE_BETA = 0.999  # of the generator's moving average, for a batch of 16 pictures (section 6)


def make_trainer(settings: ProGANSettings) -> Trainer:
    """A trainer of new networks, or of those of the catalogued model settings.start, on the fastest device.

    Raises BadSetting where a run would end before it is fully grown.
    """
    from facelab.studio import best_device

    settings = shaped_by_start(settings)
    refuse_half_grown(settings)
    torch.manual_seed(settings.seed)
    shape = {name: settings.config[name] for name in ("channel_base", "channel_max")}
    model = ProGAN(settings.resolution, **settings.config)
    critic = ProGANCritic(settings.resolution, **shape)
    for network in (model, critic):
        network.to(device=best_device(), memory_format=torch.channels_last)
    return Trainer(settings, model, critic)


class Trainer(NetworksTrainer):
    """Generator and discriminator in turns, both at the stage that the pictures seen have brought them to. What is
    published and drawn is the generator's moving average, `model`.
    """

    columns = ("d_loss", "g_loss", "distance", "penalty", "resolution")

    def __init__(self, settings: ProGANSettings, model: ProGAN, critic: ProGANCritic) -> None:
        live = deepcopy(model)
        groups = {"generator": [live], "discriminator": [critic]}
        super().__init__(settings, model, others={"live": live, "d": critic}, groups=groups, betas=BETAS)
        self.live, self.critic = live, critic
        live.load_state_dict(model.state_dict())  # which a start has filled
        self.behind.discard("generator")
        model.requires_grad_(False)

    @property
    def stage(self) -> Stage:
        """How far the networks have grown: a function of the pictures seen."""
        settings = self.settings
        schedule = {"grow_images": settings.grow_images, "fade_images": settings.fade_images}
        return stage_after(
            self.images, resolution=settings.resolution, grow_from=settings.grow_from or settings.resolution, **schedule
        )

    def learn(self, parts: tuple[Tensor, ...]) -> None:
        stage = self.stage
        shown = tuple(show_at(part, stage, enlarge=twice_as_large) for part in parts)
        self.update(shown, self._discriminate)
        self.update(shown, self._generate)
        self.note(resolution=torch.tensor(float(stage.resolution), device=self.device))
        with torch.no_grad():
            averaged, current = list(self.model.parameters()), list(self.live.parameters())
            torch._foreach_lerp_(averaged, current, 1 - AVERAGE_BETA ** (self.settings.batch / 16))

    def _fakes(self, count: int) -> Tensor:
        return self.live.decode(self.draw(count), self.stage.resolution, self.stage.alpha).float()

    def _discriminate(self, real: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self._fakes(len(real))
        loss_of = self._wasserstein if self.settings.loss == "wasserstein" else self._logistic
        loss, distance, penalty = loss_of(real, fake)
        self.note(d_loss=loss, distance=distance, **({} if penalty is None else {"penalty": penalty}))
        return {"discriminator": loss}

    def _wasserstein(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The discriminator's loss, how far apart the scores are, and the penalty."""
        alpha = self.stage.alpha
        real_scores, fake_scores = self.critic(real, alpha), self.critic(fake, alpha)
        between = torch.lerp(fake, real, torch.rand(len(real), 1, 1, 1, device=real.device)).requires_grad_(True)
        (slope,) = torch.autograd.grad(self.critic(between, alpha).sum(), between, create_graph=True)
        penalty = (slope.float().square().sum(dim=(1, 2, 3)).sqrt() - 1).square().mean()
        distance = real_scores.mean() - fake_scores.mean()
        return PENALTY * penalty - distance + DRIFT * real_scores.square().mean(), distance, penalty

    def _logistic(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """The same of the other loss, whose penalty is due in some steps only."""
        due = self.steps % R1_INTERVAL == 0
        real = real.detach().requires_grad_(due)
        real_scores, fake_scores = self.critic(real, self.stage.alpha), self.critic(fake, self.stage.alpha)
        loss, penalty = discriminator_loss(real_scores.float(), fake_scores.float()), None
        if due:
            penalty = r1_penalty(real_scores, real)
            loss = loss + R1_GAMMA * R1_INTERVAL * penalty
        return loss, real_scores.mean() - fake_scores.mean(), penalty

    def _generate(self, real: Tensor) -> dict[str, Tensor]:
        scores = self.critic(self._fakes(len(real)), self.stage.alpha).float()
        loss = -scores.mean() if self.settings.loss == "wasserstein" else generator_loss(scores)
        self.note(g_loss=loss)
        return {"generator": loss}

    def draw_sheet(self, latents: Tensor) -> Tensor:
        stage = self.stage
        return self.model.decode(latents[:, 0], stage.resolution, stage.alpha).float()

    def weights(self) -> dict[str, Tensor] | None:
        """The averaged generator under "g." and the discriminator under "d.", once they are fully grown."""
        if self.stage != Stage(self.settings.resolution):
            return None
        return {name: value for name, value in super().weights().items() if not name.startswith("live.")}
