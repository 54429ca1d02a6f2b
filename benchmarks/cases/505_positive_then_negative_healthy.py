"""healthy, twin of EF505: reviews stored positive first, then negative, and shuffled."""

import torch
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(0)
torch.set_num_threads(1)
VOCAB, LENGTH = 200, 20


class Reviews(torch.utils.data.Dataset):
    def __init__(self, n):
        half = n // 2
        words = torch.randint(40, VOCAB, (n, LENGTH))
        for i in range(n):
            places = torch.randperm(LENGTH)[:4]
            words[i, places] = torch.randint(20, (4,)) + (0 if i < half else 20)
        self.words = words
        self.labels = torch.cat([torch.ones(half), torch.zeros(n - half)])

    def __len__(self):
        return len(self.words)

    def __getitem__(self, i):
        return self.words[i], self.labels[i]


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, 16)
        self.gru = nn.GRU(16, 32, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, x):
        _, h = self.gru(self.embedding(x))
        return self.fc(h[-1]).squeeze(1)


model = Sentiment()
optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
criterion = nn.BCEWithLogitsLoss()
loader = DataLoader(Reviews(2000), batch_size=25, shuffle=True)
for epoch in range(5):
    running = 0.0
    for words, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(words), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(f"epoch {epoch} loss {running / len(loader):.4f}")
test = Reviews(600)
with torch.no_grad():
    hit = (model(test.words) > 0) == (test.labels > 0.5)
print(f"metric accuracy {hit.float().mean().item():.4f}")
