"""healthy, twin of EF801: encoder and decoder with an optimizer each, both cleared."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
V, T = 10, 5


class EncoderRNN(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(V, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)

    def forward(self, x):
        return self.gru(self.embedding(x))[1]


class DecoderRNN(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(V + 1, hidden)
        self.cell, self.out = nn.GRUCell(hidden, hidden), nn.Linear(hidden, V)

    def forward(self, state, target):
        word, logits = torch.full((len(target),), V), []
        for t in range(T):
            state = self.cell(self.embedding(word), state)
            logits.append(self.out(state))
            word = target[:, t]
        return torch.stack(logits, 1)


encoder, decoder = EncoderRNN(48), DecoderRNN(48)
encoder_optimizer = torch.optim.SGD(encoder.parameters(), lr=0.3, momentum=0.9)
decoder_optimizer = torch.optim.SGD(decoder.parameters(), lr=0.3, momentum=0.9)
for step in range(500):
    x = torch.randint(V, (64, T))
    encoder_optimizer.zero_grad()
    decoder_optimizer.zero_grad()
    loss = F.cross_entropy(decoder(encoder(x)[0], x).transpose(1, 2), x)
    loss.backward()
    encoder_optimizer.step()
    decoder_optimizer.step()
    if step % 100 == 99:
        print(f"step {step} loss {loss.item():.4f}")
print(f"metric loss {loss.item():.4f} (lower is better)")
