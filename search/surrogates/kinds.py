"""The surrogates there are, by the name of their `kind`."""

from typing import Annotated, TypeAlias

from search.surrogates.ibnn import InfiniteWidth
from search.surrogates.networks import HMC, DeepEnsemble, DeepKernel, Laplace
from search.surrogates.saas import Saas
from search.values import Tagged

SurrogateSettings: TypeAlias = Annotated[
    DeepEnsemble | DeepKernel | HMC | InfiniteWidth | Laplace | Saas, Tagged()
]
