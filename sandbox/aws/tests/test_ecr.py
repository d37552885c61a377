"""ECR in front of the registry."""

from __future__ import annotations

import base64
import datetime

import pytest
from botocore.exceptions import ClientError
from conftest import PROXY_ENDPOINT, Endpoint, code_of
from fake_registry import MANIFEST_TYPE


def test_token_is_for_the_local_registry(endpoint: Endpoint) -> None:
    (data,) = endpoint.client("ecr").get_authorization_token()["authorizationData"]
    assert base64.b64decode(data["authorizationToken"]) == b"AWS:registry-secret"
    assert data["proxyEndpoint"] == PROXY_ENDPOINT
    left = data["expiresAt"] - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(hours=11.9) < left < datetime.timedelta(hours=12.1)


def test_repository_uri_is_that_of_aws(endpoint: Endpoint) -> None:
    for region in ("us-east-1", "eu-central-1"):
        ecr = endpoint.client("ecr", region_name=region)
        made = ecr.create_repository(repositoryName="demo/web-app")["repository"]
        assert made["repositoryUri"] == f"123456789012.dkr.ecr.{region}.amazonaws.com/demo/web-app"


def test_images_are_those_of_the_registry(endpoint: Endpoint) -> None:
    ecr = endpoint.client("ecr")
    ecr.create_repository(repositoryName="demo/app")
    assert ecr.list_images(repositoryName="demo/app")["imageIds"] == []
    digest = endpoint.registry.put("demo/app", "v1")
    endpoint.registry.put("demo/app", "latest")
    other = endpoint.registry.put("demo/app", "v2", "two")
    listed = ecr.list_images(repositoryName="demo/app")["imageIds"]
    assert {(i["imageTag"], i["imageDigest"]) for i in listed} == {
        ("v1", digest),
        ("latest", digest),
        ("v2", other),
    }
    (one,) = ecr.describe_images(repositoryName="demo/app", imageIds=[{"imageTag": "v1"}])[
        "imageDetails"
    ]
    assert (one["imageDigest"], one["imageTags"]) == (digest, ["latest", "v1"])
    assert one["imageSizeInBytes"] == 100 and one["imagePushedAt"]
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName="demo/app", imageIds=[{"imageTag": "none"}])


def test_repository_with_images_needs_force(endpoint: Endpoint) -> None:
    ecr = endpoint.client("ecr")
    ecr.create_repository(repositoryName="demo/app")
    endpoint.registry.put("demo/app", "v1")
    with pytest.raises(ClientError) as refused:
        ecr.delete_repository(repositoryName="demo/app")
    assert code_of(refused) == ("RepositoryNotEmptyException", 400)
    ecr.delete_repository(repositoryName="demo/app", force=True)
    assert not endpoint.registry.manifests["demo/app"] and not endpoint.registry.tags["demo/app"]
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.delete_repository(repositoryName="demo/app")
    ecr.create_repository(repositoryName="demo/app")
    ecr.delete_repository(repositoryName="demo/app")


def test_batch_delete_by_tag_and_digest(endpoint: Endpoint) -> None:
    ecr = endpoint.client("ecr")
    ecr.create_repository(repositoryName="demo/app")
    digest = endpoint.registry.put("demo/app", "v1")
    endpoint.registry.put("demo/app", "latest")
    done = ecr.batch_delete_image(
        repositoryName="demo/app", imageIds=[{"imageTag": "latest"}, {"imageTag": "none"}]
    )
    assert [i["imageTag"] for i in done["imageIds"]] == ["latest"]
    assert [f["failureCode"] for f in done["failures"]] == ["ImageNotFound"]
    assert endpoint.registry.tags["demo/app"] == {"v1": digest}
    ecr.batch_delete_image(repositoryName="demo/app", imageIds=[{"imageDigest": digest}])
    assert endpoint.registry.manifests["demo/app"] == {}


def test_a_manifest_without_a_tag_is_found_by_its_digest(endpoint: Endpoint) -> None:
    ecr = endpoint.client("ecr")
    ecr.create_repository(repositoryName="demo/app")
    digest = endpoint.registry.put("demo/app", "v1")
    del endpoint.registry.tags["demo/app"]["v1"]
    wanted = {"repositoryName": "demo/app", "imageIds": [{"imageDigest": digest}]}
    (image,) = ecr.batch_get_image(**wanted)["images"]
    assert image["imageId"] == {"imageDigest": digest}
    (detail,) = ecr.describe_images(**wanted)["imageDetails"]
    assert "imageTags" not in detail
    done = ecr.batch_delete_image(**wanted)
    assert done["imageIds"] == [{"imageDigest": digest}]
    assert [f["failureCode"] for f in ecr.batch_get_image(**wanted)["failures"]] == [
        "ImageNotFound"
    ]


def test_immutable_tag_and_existing_image_are_two_errors(endpoint: Endpoint) -> None:
    ecr = endpoint.client("ecr")
    ecr.create_repository(repositoryName="demo/app", imageTagMutability="IMMUTABLE")
    endpoint.registry.put("demo/app", "v1")
    (image,) = ecr.batch_get_image(repositoryName="demo/app", imageIds=[{"imageTag": "v1"}])[
        "images"
    ]
    request = {
        "repositoryName": "demo/app",
        "imageTag": "v1",
        "imageManifestMediaType": MANIFEST_TYPE,
    }
    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException):
        ecr.put_image(**request, imageManifest=image["imageManifest"])
    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException):
        ecr.put_image(**request, imageManifest='{"other": 1}')
    moved = {**request, "imageTag": "v2", "imageManifest": image["imageManifest"]}
    ecr.put_image(**moved)
    assert set(endpoint.registry.tags["demo/app"]) == {"v1", "v2"}


def test_excluded_tag_of_an_immutable_repository_moves(endpoint: Endpoint) -> None:
    ecr = endpoint.client("ecr")
    ecr.create_repository(
        repositoryName="demo/app",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
    )
    endpoint.registry.put("demo/app", "latest")
    manifest = '{"schemaVersion": 2}'
    ecr.put_image(
        repositoryName="demo/app",
        imageTag="latest",
        imageManifest=manifest,
        imageManifestMediaType=MANIFEST_TYPE,
    )


@pytest.mark.parametrize("force", [True, False])
def test_repository_stays_when_the_registry_fails(endpoint: Endpoint, force: bool) -> None:
    ecr = endpoint.client("ecr")
    ecr.create_repository(repositoryName="demo/web-app")
    endpoint.registry.put("demo/web-app", "v1")
    endpoint.registry.broken = True
    with pytest.raises(ClientError) as refused:
        ecr.delete_repository(repositoryName="demo/web-app", force=force)
    assert code_of(refused) == ("ServerException", 500)
    endpoint.registry.broken = False
    assert ecr.describe_images(repositoryName="demo/web-app")["imageDetails"][0]["imageTags"] == [
        "v1"
    ]
