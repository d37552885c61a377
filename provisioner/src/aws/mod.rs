//! AWS: clients and the resources that the tool ensures and deletes.
