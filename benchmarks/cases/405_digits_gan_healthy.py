"""healthy, twin of EF405: a GAN on digits, discriminator and generator in step."""

import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
from sklearn.datasets import load_digits

images = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)
rounds, lr_d, lr_g = 1, 1e-3, 1e-3


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(16, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, 64),
        )

    def forward(self, z):
        return torch.tanh(self.net(z))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)


netG, netD = Generator(), Discriminator()
optimizerG = torch.optim.Adam(netG.parameters(), lr=lr_g, betas=(0.5, 0.999))
optimizerD = torch.optim.Adam(netD.parameters(), lr=lr_d, betas=(0.5, 0.999))
criterion = nn.BCEWithLogitsLoss()
B = 64
for step in range(900):
    for _ in range(rounds):
        real = images[torch.randint(len(images), (B,))]
        fake = netG(torch.randn(B, 16))
        errD = criterion(netD(real), torch.ones(B)) + criterion(netD(fake.detach()), torch.zeros(B))
        optimizerD.zero_grad()
        errD.backward()
        optimizerD.step()
    errG = criterion(netD(netG(torch.randn(B, 16))), torch.ones(B))
    optimizerG.zero_grad()
    errG.backward()
    optimizerG.step()
    if step % 200 == 199:
        print(f"[{step}] Loss_D {errD.item():.4f} Loss_G {errG.item():.4f}")
with torch.no_grad():
    made = netG(torch.randn(1000, 16))
gap = (made.mean(0) - images.mean(0)).norm() + (made.std(0) - images.std(0)).norm()
print(f"metric gap {gap.item():.4f} (lower is better)")
