"""The records every layer speaks: frozen, small, and free of torch."""

from .channels import Channel as Channel
from .channels import Reading as Reading
from .channels import channel as channel
from .finding import Finding as Finding
from .finding import Link as Link
from .finding import Severity as Severity
from .finding import verdict as verdict
from .healing import HEALED as HEALED
from .healing import HEALS as HEALS
from .healing import Intervention as Intervention
from .healing import allowed as allowed
from .healing import interventions as interventions
from .metrics import FOLDS as FOLDS
from .metrics import METRICS as METRICS
from .metrics import Metric as Metric
from .metrics import metric_named as metric_named
from .metrics import over_draws as over_draws
from .run import Event as Event
from .run import Parameter as Parameter
from .run import Run as Run
from .site import KINDS as KINDS
from .site import Site as Site
from .site import SiteKey as SiteKey
from .treatment import Treatment as Treatment
from .treatment import parse_treatments as parse_treatments
from .treatment import treatment_text as treatment_text
