"""Google's Resource Manager, IAM, IAM Credentials, STS and Service Usage, over REST."""
