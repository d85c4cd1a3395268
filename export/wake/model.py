"""The head of one wake word, and the graph that ships: trunk and heads as one exact stream."""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor, nn

from export.trunk.model import EMBEDDING, State, Trunk


class Head(nn.Module):
    """Embeddings to the probability, at every step, that the word has just ended.

    Conv1D, batch norm, GRU and a sigmoid per time step, as in the trigger-word exercise of the deep
    learning course; the convolution is valid in time, so that it streams with two steps of state.
    """

    def __init__(self, channels: int = 64, hidden: int = 64, dropout: float = 0.2) -> None:
        super().__init__()
        self.channels, self.hidden = channels, hidden
        self.convolution = nn.Conv1d(EMBEDDING, channels, 3)
        self.norm = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(channels, hidden, batch_first=True)
        self.output = nn.Linear(hidden, 1)

    def initial_state(self, batch: int = 1) -> State:
        """Zero state: the two embeddings before the first, and the GRU's hidden vector."""
        return [torch.zeros(batch, EMBEDDING, 2), torch.zeros(1, batch, self.hidden)]

    def stream(self, embeddings: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, k, 96) and the state to logits (batch, k) and the next state."""
        recent = torch.cat([state[0], embeddings.transpose(1, 2)], dim=2)
        x = nn.functional.relu(self.norm(self.convolution(recent))).transpose(1, 2)
        x, hidden = self.gru(self.dropout(x), state[1])
        logits: Tensor = self.output(self.dropout(x)).squeeze(2)
        return logits, [recent[:, :, -2:], hidden]

    def forward(self, embeddings: Tensor) -> Tensor:
        """Whole clips from silence: (batch, steps, 96) to logits (batch, steps)."""
        state = [part.to(embeddings.device) for part in self.initial_state(len(embeddings))]
        return self.stream(embeddings, state)[0]


class Committee(nn.Module):
    """Several heads for one word that differ in seed and data order; their logits are averaged."""

    def __init__(self, members: list[Head]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def initial_state(self, batch: int = 1) -> State:
        """Zero state of every member, one after the other."""
        return [part for member in self._heads() for part in member.initial_state(batch)]

    def stream(self, embeddings: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, k, 96) and the state to logits (batch, k) and the next state."""
        past, following, logits = iter(state), [], []
        for member in self._heads():
            logit, after = member.stream(embeddings, list(islice(past, 2)))
            logits.append(logit)
            following += after
        return torch.stack(logits).mean(0), following

    def _heads(self) -> list[Head]:
        return [member for member in self.members if isinstance(member, Head)]


class WakeGraph(nn.Module):
    """What is exported: PCM and state to probabilities, hypercolumns and the next state."""

    def __init__(self, trunk: Trunk, heads: list[Committee]) -> None:
        super().__init__()
        self.trunk = trunk
        self.heads = nn.ModuleList(heads)

    def initial_state(self) -> State:
        """Zero state of the trunk, then of each head."""
        return self.trunk.initial_state() + [
            part for head in self._committees() for part in head.initial_state()
        ]

    def forward(self, pcm: Tensor, state: State) -> tuple[Tensor, ...]:
        """(1, 1280 k) samples in [-1, 1] to (1, k, words), (1, k, width) and the next state."""
        past = iter(state)
        own = list(islice(past, len(self.trunk.initial_state())))
        columns, following = self.trunk.hear(pcm, own)
        embeddings = columns[..., :EMBEDDING]
        probabilities = []
        for head in self._committees():
            logits, after = head.stream(embeddings, list(islice(past, len(head.initial_state()))))
            probabilities.append(torch.sigmoid(logits))
            following += after
        return torch.stack(probabilities, dim=2), columns, *following

    def _committees(self) -> list[Committee]:
        return [head for head in self.heads if isinstance(head, Committee)]
