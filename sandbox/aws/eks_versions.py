"""Kubernetes versions and add-on versions that EKS offers.

Dates of 1.34 and 1.35 are those of the EKS calendar; the other dates, the add-on builds, and which
versions take an HPA sync period are assumptions of the right form. `TODAY` is fixed so that tests do not age.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TODAY = datetime(2026, 9, 1, tzinfo=UTC)
DEFAULT_VERSION = "1.35"


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Version:
    """One minor version: days on which it came and on which standard and extended support end."""

    name: str
    patch: str
    released: datetime
    standard_until: datetime
    extended_until: datetime
    sync_period: bool = False

    @property
    def support(self) -> str:
        if self.standard_until > TODAY:
            return "STANDARD_SUPPORT"
        return "EXTENDED_SUPPORT" if self.extended_until > TODAY else "UNSUPPORTED"

    def view(self) -> dict[str, Any]:
        return {
            "clusterVersion": self.name,
            "clusterType": "eks",
            "defaultPlatformVersion": "eks.5",
            "defaultVersion": self.name == DEFAULT_VERSION,
            "releaseDate": self.released,
            "endOfStandardSupportDate": self.standard_until,
            "endOfExtendedSupportDate": self.extended_until,
            "status": self.support.lower().replace("_", "-"),
            "versionStatus": self.support,
            "kubernetesPatchVersion": self.patch,
            "controlPlaneComponentConfig": {"kubeControllerManagerConfig": self.controller_manager},
        }

    @property
    def controller_manager(self) -> dict[str, Any]:
        """What can be set on the controller manager."""
        if not self.sync_period:
            return {}
        offer = {"defaultValue": "15s", "constraints": {"min": "5s", "max": "60s"}}
        period = {"horizontalPodAutoscalerSyncPeriod": offer}
        return {"horizontalPodAutoscalerControllerConfig": period}


VERSIONS = (
    Version("1.36", "1.36.1", day("2026-06-03"), day("2027-08-02"), day("2028-08-02"), True),
    Version("1.35", "1.35.4", day("2026-01-27"), day("2027-03-27"), day("2028-03-27"), True),
    Version("1.34", "1.34.6", day("2025-10-02"), day("2026-12-02"), day("2027-12-02")),
    Version("1.33", "1.33.9", day("2025-05-29"), day("2026-07-29"), day("2027-07-29")),
)


def supported_versions() -> list[str]:
    return [version.name for version in VERSIONS if version.support != "UNSUPPORTED"]


@dataclass(frozen=True)
class AddonKind:
    """An add-on of the catalogue: its newest build first."""

    name: str
    builds: tuple[str, ...]
    type: str
    namespace: str
    owner: str = "aws"


ADDONS = {
    kind.name: kind
    for kind in (
        AddonKind("vpc-cni", ("v1.20.4-eksbuild.2",), "networking", "kube-system"),
        AddonKind("coredns", ("v1.13.1-eksbuild.1",), "networking", "kube-system"),
        AddonKind("kube-proxy", ("v1.35.0-eksbuild.2",), "networking", "kube-system"),
        AddonKind("eks-pod-identity-agent", ("v1.3.10-eksbuild.1",), "security", "kube-system"),
        AddonKind("aws-ebs-csi-driver", ("v1.53.0-eksbuild.1",), "storage", "kube-system"),
        AddonKind(
            "metrics-server",
            ("v0.8.1-eksbuild.1", "v0.8.0-eksbuild.6"),
            "observability",
            "kube-system",
            "community",
        ),
        AddonKind(
            "kube-state-metrics",
            ("v2.17.0-eksbuild.4",),
            "observability",
            "kube-state-metrics",
            "community",
        ),
        AddonKind(
            "prometheus-node-exporter",
            ("v1.10.2-eksbuild.4",),
            "observability",
            "prometheus-node-exporter",
            "community",
        ),
        AddonKind("cert-manager", ("v1.19.1-eksbuild.3",), "security", "cert-manager", "community"),
    )
}


def addon_view(kind: AddonKind, cluster_version: str | None) -> dict[str, Any]:
    """As DescribeAddonVersions shows it; the newest build is the default one."""
    clusters = [cluster_version] if cluster_version else supported_versions()
    builds = []
    for position, build in enumerate(kind.builds):
        fits = [
            {"clusterVersion": c, "platformVersions": ["*"], "defaultVersion": position == 0}
            for c in clusters
        ]
        builds.append(
            {
                "addonVersion": build,
                "architecture": ["amd64", "arm64"],
                "computeTypes": ["ec2", "auto", "hybrid"],
                "compatibilities": fits,
                "requiresConfiguration": False,
                "requiresIamPermissions": False,
            }
        )
    return {
        "addonName": kind.name,
        "type": kind.type,
        "addonVersions": builds,
        "publisher": "eks",
        "owner": kind.owner,
        "defaultNamespace": kind.namespace,
    }
