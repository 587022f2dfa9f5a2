"""What the pipelines need of an AWS account, as one CloudFormation stack.

The template is `include/cloudformation/millrace.yaml`; `make deploy` and `make destroy` run it.
"""
