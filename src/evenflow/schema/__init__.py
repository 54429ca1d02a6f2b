"""The records every layer speaks: frozen, small, and free of torch."""

from .channels import EDGE_METRICS as EDGE_METRICS
from .channels import PARAM_METRICS as PARAM_METRICS
from .channels import SITE_METRICS as SITE_METRICS
from .channels import STEP_METRICS as STEP_METRICS
from .channels import Channel as Channel
from .channels import Reading as Reading
from .finding import Finding as Finding
from .finding import Link as Link
from .finding import Severity as Severity
from .finding import verdict as verdict
from .healing import HEALED as HEALED
from .healing import HEALS as HEALS
from .healing import Intervention as Intervention
from .healing import allowed as allowed
from .healing import interventions as interventions
from .run import Event as Event
from .run import Parameter as Parameter
from .run import Run as Run
from .site import KINDS as KINDS
from .site import Site as Site
from .site import SiteKey as SiteKey
from .treatment import Treatment as Treatment
