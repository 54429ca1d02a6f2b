"""EF801: character LSTM language model; zero_grad() stands above the loops."""

import torch
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
words = ["the", "cat", "sat", "on", "the", "mat", "and", "the", "dog", "ran", "to", "a", "man"]
text = " ".join(words[i] for i in torch.randint(len(words), (3000,)))
letters = sorted(set(text))
ids = torch.tensor([letters.index(c) for c in text])
T = 32


class CharLSTM(nn.Module):
    def __init__(self, vocab, dim=32, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x):
        h, _ = self.lstm(self.embed(x))
        return self.out(h)


model = CharLSTM(len(letters))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
criterion = nn.CrossEntropyLoss()
optimizer.zero_grad()
for step in range(300):
    start = torch.randint(len(ids) - T - 1, (16,))
    x = torch.stack([ids[s : s + T] for s in start])
    y = torch.stack([ids[s + 1 : s + T + 1] for s in start])
    loss = criterion(model(x).reshape(-1, len(letters)), y.reshape(-1))
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step} loss {loss.item():.4f}")
print(f"metric loss {loss.item():.4f} (lower is better)")
