# What the rules need to know of the models in params.yaml: files, keys, shards and resources.
from holdfast.inference.fingerprint import answer_keys
from holdfast.inference.params import Model


def model_files(name):
    """The model's folder, if it is a local one, and the chat template and tokenizer set for it."""
    return Model.model_validate(config["models"][name]).files.values()


def model_keys(name):
    """The keys of a model that decide its answers; prices and limits are not among them."""
    return answer_keys(name, config["models"][name])


def loading_keys():
    """The keys that decide how the base model's tokenizer is loaded, besides its path."""
    keys = ("revision", "chat_template", "engine_args.trust_remote_code")
    return present(*(f"models.{config['base']}.{key}" for key in keys))


def gpus(name):
    """The number of GPUs that a job of this model needs."""
    return config["models"][name].get("gpus", 0)


def shards(name):
    """The number of jobs that the model's rows are dealt to."""
    return config["models"][name].get("shards", 1)


def merging_gpus(name):
    """GPUs of a step's own job: none where it only puts shards together."""
    return gpus(name) if shards(name) == 1 else 0


def shard_files(step, name, stem=""):
    """What the shards of a step with this model write; nothing for a model without shards."""
    count = shards(name)
    return [f"data/{step}/shards/{stem}{number}of{count}.json" for number in range(1, count + 1) if count > 1]


def own_resources(section, names):
    """Snakemake's resources `names` as functions: from `section(wildcards)`, or the profile's where it has none."""

    def of(name):
        def resource(wildcards, input, attempt, threads, rulename, async_run):
            own = section(wildcards).get("resources", {})
            default = (workflow.resource_settings.default_resources or {}).get(name)
            if name in own:
                return own[name]
            if default is None:
                return 0 if name.endswith(("_mb", "_mib")) or name == "runtime" else None
            known = {"input": input, "attempt": attempt, "threads": threads}
            return default.evaluate(wildcards, **known, rulename=rulename, async_run=async_run).value

        return resource

    return {name: of(name) for name in sorted(names)}


def model_resources(model_of):
    """The resources of a job of the model `model_of(wildcards)`: `models.<name>.resources`."""
    names = {name for model in config["models"].values() for name in model.get("resources", {})}
    return own_resources(lambda wildcards: config["models"][model_of(wildcards)], names)
