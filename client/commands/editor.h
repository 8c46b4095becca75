// A text in the editor of a person. Not thread-safe.
#pragma once

#include <signal.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::client {

// A file that only its owner reads, named like `original` so that an editor knows its language;
// removed when this goes away, unless it is kept.
class EditedFile {
 public:
  // Beside `original`, where a relative path to a schema still leads somewhere; or, with
  // `in_memory`, on a tmpfs: FailedPrecondition/"no-tmpfs" where there is none.
  static absl::StatusOr<EditedFile> Make(const std::string& original, bool in_memory);
  EditedFile(EditedFile&& other) noexcept;
  EditedFile& operator=(EditedFile&&) = delete;
  ~EditedFile();

  const std::string& path() const { return path_; }
  void Keep() { keep_ = true; }
  absl::Status Write(absl::string_view text) const;
  absl::StatusOr<std::string> Read() const;

 private:
  // While opened secrets lie in a file, what would end the program waits until it is gone.
  class SignalsHeld {
   public:
    SignalsHeld();
    ~SignalsHeld();
    SignalsHeld(const SignalsHeld&) = delete;
    SignalsHeld& operator=(const SignalsHeld&) = delete;

   private:
    sigset_t before_;
  };

  EditedFile(std::string directory, std::string path)
      : directory_(std::move(directory)), path_(std::move(path)) {}
  std::unique_ptr<SignalsHeld> held_;  // let go of after the file is removed
  std::string directory_;              // to be removed as well; empty: not ours
  std::string path_;
  bool keep_ = false;
};

// $VISUAL, $EDITOR, else vi or nano. InvalidArgument/"no-editor".
absl::StatusOr<std::string> EditorCommand();

// Waits for its end. Aborted/"editor-failed" when it does not end well: then nothing was meant;
// Aborted/"interrupted" when something that ends this program came meanwhile.
absl::Status RunEditor(const std::string& command, const std::string& path);

}  // namespace basalt::client
