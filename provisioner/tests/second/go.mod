module provisioner/tests/second

go 1.26
