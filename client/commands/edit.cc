// nodectl edit: a source in an editor, checked before it is written.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/commands/editing.h"
#include "client/commands/editor.h"
#include "client/commands/file_change.h"
#include "client/commands/inputs.h"
#include "client/commands/sealed_text.h"
#include "client/commands/sealing.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::client {
namespace {

// Lines of ours at the top of what is edited; they are not written.
constexpr absl::string_view kOurs = "#| ";
// An editor that is a program might never be right.
constexpr int kMaxTurns = 50;

std::string WithoutOurs(absl::string_view text) {
  while (absl::StartsWith(text, kOurs) || absl::StartsWith(text, "#|\n")) {
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  }
  return std::string(text);
}

std::string Ours(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) absl::StrAppend(&out, kOurs, line, "\n");
  return out;
}

// The errors above the text that has them; their lines count from the top, with these in it.
std::string ErrorLines(const absl::Status& status) {
  std::vector<std::string> lines = {
      "This is not written yet: save it as it should be. Without a change nothing is written."};
  std::vector<api::Violation> found = api::Violations(status);
  if (found.empty()) lines.push_back(std::string(status.message()));
  constexpr size_t kShown = 20;
  const size_t more = found.size() > kShown ? found.size() - kShown : 0;
  found.resize(found.size() - more);
  const int ours = static_cast<int>(lines.size() + found.size() + (more > 0 ? 1 : 0));
  for (api::Violation& one : found) {
    one.file = "";
    const int line = one.line > 0 ? one.line + ours : 0;
    const int column = one.column;
    one.line = one.column = 0;
    std::string text = Escape(one.ToString());
    lines.push_back(line > 0 ? absl::StrCat("line ", line, ", column ", column, ": ", text) : text);
  }
  if (more > 0) lines.push_back(absl::StrCat("and ", more, " more"));
  return Ours(lines);
}

class Editing {
 public:
  Editing(Session& session, const EditOptions& options, std::string file)
      : session_(session), io_(session.io()), options_(options), file_(std::move(file)) {}

  absl::StatusOr<int> Run() {
    absl::StatusOr<std::vector<Input>> inputs = ReadInputs({file_});
    if (!inputs.ok()) return inputs.status();
    if (file_ == "-" || inputs->size() != 1) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "usage", "edit takes one file",
                        "-f n1.yaml");
    }
    original_ = (*inputs)[0].text;
    if (absl::Status s = RefuseSigned((*inputs)[0]); !s.ok()) return s;
    absl::StatusOr<std::string> editor = EditorCommand();
    if (!editor.ok()) return editor.status();
    opened_.text = original_;
    if (options_.decrypt) {
      if (absl::Status s = Open(); !s.ok()) return s;
    }
    absl::StatusOr<EditedFile> edited = EditedFile::Make(file_, options_.decrypt);
    if (!edited.ok()) return edited.status();
    const std::string head =
        opened_.values.empty()
            ? ""
            : Ours({absl::StrCat("Opened: ", absl::StrJoin(opened_.values, ", ",
                                                           [](std::string* out, const auto& v) {
                                                             absl::StrAppend(out, v.first);
                                                           })),
                    "What is changed, and every secret that is new, is sealed when you save."});
    return Turns(*editor, *edited, head);
  }

 private:
  absl::Status Open() {
    absl::StatusOr<std::vector<seal::Identity>> identities =
        LoadIdentities(session_, options_.apply.signing.identities);
    if (!identities.ok()) return identities.status();
    absl::StatusOr<OpenedText> opened = OpenText(original_, file_, *identities);
    if (!opened.ok()) return opened.status();
    opened_ = *std::move(opened);
    return absl::OkStatus();
  }

  absl::StatusOr<int> Turns(const std::string& editor, EditedFile& edited, std::string head) {
    std::string offered = opened_.text;
    for (int turn = 0;; ++turn) {
      if (absl::Status s = edited.Write(head + offered); !s.ok()) return s;
      if (absl::Status s = RunEditor(editor, edited.path()); !s.ok()) return s;
      absl::StatusOr<std::string> read = edited.Read();
      if (!read.ok()) return read.status();
      const std::string text = WithoutOurs(*read);
      if (text == opened_.text) {
        io_.err << file_ << ": no changes\n";
        return 0;
      }
      if (text.find_first_not_of(" \n\t") == std::string::npos) {
        return api::Coded(absl::StatusCode::kCancelled, "declined",
                          "the text is empty; nothing was changed");
      }
      absl::StatusOr<FileChange> change = Check(text);
      if (change.ok()) return Finish(*change);
      if (text == offered || turn >= kMaxTurns) return Abandon(edited, change.status());
      head = ErrorLines(change.status());
      offered = text;
    }
  }

  absl::StatusOr<FileChange> Check(const std::string& text) {
    absl::StatusOr<ConfigSchema> schema = ConfigSchema::Of(session_, "");
    if (!schema.ok()) return schema.status();
    const ConfigSchema::Config now = schema->Load(text, file_);
    if (!now.readable) return api::Invalid(now.errors);
    std::string after = text;
    sealed_.clear();
    if (options_.decrypt) {
      absl::StatusOr<std::string> made = SealText(
          original_, opened_, text, file_, [this] { return LoadRecipients(session_, {}, {}); },
          sealed_);
      if (!made.ok()) return made.status();
      after = *std::move(made);
    }
    // A file that could not be read before may be mended: then it is new as a whole.
    v1::MachineConfig ignored;
    const bool was_readable = yaml::Decode(original_, file_, ignored).ok();
    absl::StatusOr<FileChange> change =
        CheckChange(*schema, file_, was_readable ? original_ : after, after);
    if (change.ok()) change->before = original_;
    return change;
  }

  absl::StatusOr<int> Finish(const FileChange& change) {
    PrintViolations(io_, "warning", change.warnings);
    // Somebody else may have written it while the editor was open.
    absl::StatusOr<std::string> now = ReadFile(file_);
    if (!now.ok()) return now.status();
    if (*now != original_) {
      return api::Coded(absl::StatusCode::kAborted, "changed-meanwhile",
                        absl::StrCat(file_,
                                     " was changed by somebody else meanwhile; nothing was "
                                     "written"),
                        "edit it again");
    }
    if (absl::Status s = WriteChanges({change}); !s.ok()) return s;
    if (io_.json() || io_.format == Format::kYaml) {
      PrintChangeJson(io_, change, true);
    } else {
      io_.err << file_ << ": written\n";
      if (absl::Status s = ShowChange(io_, io_.err, change); !s.ok()) return s;
    }
    if (!sealed_.empty()) io_.err << "sealed " << absl::StrJoin(sealed_, ", ") << "\n";
    if (!options_.then_apply) return 0;
    ApplyOptions apply = options_.apply;
    apply.files = {file_};
    return RunApplyVerb(session_, apply);
  }

  // What a person typed is not thrown away, unless it holds opened secrets.
  absl::Status Abandon(EditedFile& edited, const absl::Status& status) {
    if (options_.decrypt) {
      io_.err << file_ << ": nothing was written; what was typed held opened secrets and is gone\n";
      return status;
    }
    edited.Keep();
    io_.err << file_ << ": nothing was written; what was typed is kept in " << edited.path()
            << "\n";
    return status;
  }

  Session& session_;
  Io& io_;
  const EditOptions& options_;
  const std::string file_;
  std::string original_;
  OpenedText opened_;
  std::vector<std::string> sealed_;
};

}  // namespace

// Where the source of a node may be: the config knows its name, the node shows no secrets.
absl::StatusOr<std::string> SourceOfNode(Session& session, const std::string& node) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  const std::string home = DirectoryOf((*context)->path);
  std::vector<std::string> found, looked = {".", "nodes", home, JoinPath(home, "nodes")};
  for (const std::string& directory : looked) {
    if (!IsDirectory(directory)) continue;
    absl::StatusOr<std::vector<std::string>> names = ListFiles(directory);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (!absl::EndsWith(name, ".yaml") && !absl::EndsWith(name, ".yml")) continue;
      const std::string path = directory == "." ? name : JoinPath(directory, name);
      absl::StatusOr<std::string> text = ReadFile(path);
      v1::MachineConfig config;
      if (!text.ok() || yaml::PeekHeader(*text).kind != "MachineConfig") continue;
      yaml::Decode(*text, path, config);
      bool known = false;
      for (const std::string& other : found)
        known = known || AbsolutePath(other) == AbsolutePath(path);
      if (config.metadata().name() == node && !known) found.push_back(path);
    }
  }
  if (found.size() == 1) return found[0];
  return api::Coded(
      found.empty() ? absl::StatusCode::kNotFound : absl::StatusCode::kInvalidArgument,
      found.empty() ? "no-source" : "which-source",
      found.empty()
          ? absl::StrCat("no source of ", node, " is in ", absl::StrJoin(looked, ", "))
          : absl::StrCat("several sources are of ", node, ": ", absl::StrJoin(found, ", ")),
      found.empty()
          ? "-f FILE: what a node runs it shows without its secrets, and so it is no source"
          : "-f FILE");
}

absl::StatusOr<int> RunEdit(Session& session, const EditOptions& options) {
  std::string file = options.file;
  if (file.empty()) {
    if (options.apply.node.empty()) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "usage", "which file?",
                        "-f FILE, or -n NODE when its source is near");
    }
    absl::StatusOr<std::string> found = SourceOfNode(session, options.apply.node);
    if (!found.ok()) return found.status();
    file = *found;
  }
  return Editing(session, options, file).Run();
}

}  // namespace basalt::client
