"""One export from start to end: check, read group by group, write, and put everything in place."""

from nemo_gym.collections.drafts import Drafts, check_new_file
from nemo_gym.collections.files import OutputPaths, json_text
from nemo_gym.collections.reading.finished import check_rollout_file, open_collection
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.training.formats.format import ExportFormat
from nemo_gym.training.formats.kto import KtoFormat
from nemo_gym.training.formats.preference import PreferenceFormat
from nemo_gym.training.formats.rl import RlFormat
from nemo_gym.training.formats.sft import SftFormat
from nemo_gym.training.group import Groups, Tally
from nemo_gym.training.license import check_license, license_note
from nemo_gym.training.manifest import ExportManifest, export_manifest, manifest_path, source_of
from nemo_gym.training.options import ExportOptions
from nemo_gym.training.row_file import row_file


def export(options: ExportOptions) -> ExportManifest:
    """Export a collection; return the manifest, which is written beside the output.

    Raises:
        ConfigError: The input or the output can't be used, the license seems to forbid it, the rollouts are of more
            than one model, or none of them can be exported. Nothing is written then.
        DamagedFileError: The rollout file holds something else.
        OutputError: The output can't be written; nothing is left of it.
    """
    check_rollout_file(options.input_jsonl_fpath)
    files = OutputPaths(options.input_jsonl_fpath).all()
    for path in (options.output_fpath, manifest_path(options.output_fpath)):
        check_new_file(path, "output_fpath", overwrite=options.overwrite, inputs=files)
    reader = open_collection(options.input_jsonl_fpath)
    collection = reader.manifest()
    note = license_note(options.license, collection)
    check_license(note, is_accepted=options.accept_license)
    tally = Tally()
    groups = Groups(reader, tally, options.model)
    form = _format(options, tally)
    with Drafts() as drafts:
        file, about = (
            drafts.open(options.output_fpath),
            drafts.open(manifest_path(options.output_fpath), is_description=True),
        )
        with row_file(file, options.output_fpath, form.columns) as written:
            for group in groups:
                for row in form.rows(group):
                    written.write(row)
            sha256 = written.finish()
        failed = sum(int(count) for _, count in reader.failed_by_task().items())
        if not written.rows:
            raise ConfigError(_nothing_left(options, tally, failed))
        manifest = export_manifest(
            options,
            tally,
            note,
            source=source_of(options.input_jsonl_fpath, reader.index.size_bytes, collection),
            model=groups.model,
            rows=written.rows,
            failed=failed,
            sha256=sha256,
        )
        about.write(json_text(manifest.model_dump()).encode())
        drafts.publish()
    return manifest


def _format(options: ExportOptions, tally: Tally) -> ExportFormat:
    if options.format == "rl":
        return RlFormat(options, tally)
    if options.format == "kto":
        return KtoFormat(options, tally)
    return SftFormat(options, tally) if options.format == "sft" else PreferenceFormat(options, tally)


def _nothing_left(options: ExportOptions, tally: Tally, failed: int) -> Mistake:
    counts = [f"{count} {reason}" for reason, count in tally.left_out.most_common()]
    what = f"none of {tally.read} rollouts can be exported as {options.format}: {', '.join(counts) or 'there are none'}"
    first = next((f"{reason}: {text}" for reason, text in tally.examples.items()), None)
    failures = f"; {failed} failed" if failed else ""
    return Mistake(what + failures, where=str(options.input_jsonl_fpath), fix=None if first is None else f"see {first}")
