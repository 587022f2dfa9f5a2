"""What every sensor looks at before it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millrace.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

NOWHERE = "raw/-"  # holds nothing: what matters is whether the lake answers


class FirstLook:
    """Before a sensor of a provider: tells at once what would fail hours later.

    The engine must have all its settings, and the lake must answer. A provider's sensor would meet
    a wrong bucket or refused credentials in the triggerer, in AWS's words, and again in each retry.
    """

    def execute(self, context: Context) -> Any:
        """Look, then wait as the provider's sensor does.

        Raises:
            SettingsError: the engine needs more settings.
            LakeError: the lake cannot be read; the message says what to set.
        """
        from millrace.runs import engine_of, open_lake

        settings = Settings.from_environment()
        engine_of(context["params"]["engine"], settings)
        open_lake(settings).list(NOWHERE)
        return super().execute(context)  # type: ignore[misc]
