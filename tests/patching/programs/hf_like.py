"""A model with a config and an output record, and a loop of its own."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    vocab: int = 20
    width: int = 16
    layers: int = 2


@dataclass
class Output:
    loss: torch.Tensor
    logits: torch.Tensor


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, 2 * config.width)
        self.act = nn.GELU()
        self.down = nn.Linear(2 * config.width, config.width)

    def forward(self, x):
        return x + self.down(self.act(self.up(self.norm(x))))


class LanguageModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = nn.Linear(config.width, config.vocab)

    def forward(self, input_ids, labels=None):
        x = self.embed(input_ids)
        for block in self.blocks:
            x = block(x)
        logits = self.head(x)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return Output(loss, logits)


def main():
    torch.manual_seed(0)
    ids = torch.randint(20, (32, 6))
    loader = DataLoader(TensorDataset(ids), batch_size=8, shuffle=True)
    model = LanguageModel(Config())
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(2):
        for (batch,) in loader:
            outputs = model(input_ids=batch, labels=batch)
            outputs.loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    print("loss", outputs.loss.item())


main()
