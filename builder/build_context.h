// Where a build's files come from: the context argument and the named contexts, opened once each. A directory is read in
// place; a tar, a download and a git repository become a tree first. Finds the Dockerfile and the ignore file that
// belong to it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "builder/build.h"
#include "builder/op.h"
#include "builder/source_tree.h"
#include "builder/step_reporter.h"
#include "image/store.h"

namespace ctr {

struct DockerfileText {
  std::string name;  ///< as errors call it
  std::string text;
};

/// Safe for use by several threads.
class BuildContexts {
 public:
  BuildContexts(Store& store, Pin& pin, const BuildRequest& request, const BuildServices& services);
  ~BuildContexts();

  /// Opens what holds the Dockerfile and reads it. Throws NotFound in BuildKit's words.
  DockerfileText read_dockerfile(StepReporter& reporter);

  /// The patterns of .dockerignore (or <Dockerfile>.dockerignore); null without one. After read_dockerfile.
  std::shared_ptr<const IgnorePatterns> ignore(StepReporter& reporter);

  /// The tree of a ContextOp: "" is the build context.
  std::shared_ptr<const SourceTree> tree(const std::string& name);

  /// A file that an ADD downloads, as a tree of one file.
  std::shared_ptr<const SourceTree> download(const HttpOp& op);
  /// A repository that an ADD fetches.
  std::shared_ptr<const SourceTree> checkout(const GitOp& op);

  /// What tells one context of this machine from another: the directory's real path, or the argument.
  std::string identity() const;

  /// The context's directory if it is one of this machine, for SOURCE_DATE_EPOCH=git.
  std::optional<fs::path> directory() const;

  /// Unpacks a tar into a layer of the store, from which it is read.
  static std::shared_ptr<const SourceTree> tree_of_tar(Store& store, Pin& pin, ByteSource& bytes,
                                                       const std::string& name);

 private:
  struct Opened {
    std::shared_ptr<const SourceTree> tree;  ///< without patterns
    std::optional<std::string> dockerfile;   ///< the source was a Dockerfile itself
  };
  Opened open(const ContextSource& source, const std::string& name);
  Opened open_input();
  Opened open_url(const std::string& url);
  std::shared_ptr<const SourceTree> open_directory_tree(const std::string& path) const;
  std::shared_ptr<const SourceTree> open_git(const GitSource& source);
  std::optional<std::string> find_secret(const std::string& id) const;
  std::map<std::string, std::string> authorization(const std::string& url) const;
  std::string read_standard_input();
  const Opened& main();
  std::optional<std::string> find_in_main(const std::string& path);
  DockerfileText find_dockerfile();
  std::optional<std::string> find_ignore_file();

  Store& store_;
  Pin& pin_;
  const BuildRequest& request_;
  const BuildServices& services_;
  ContextSource source_;
  std::mutex mutex_;
  std::optional<Opened> main_;
  std::map<std::string, std::shared_ptr<const SourceTree>> named_;
  std::optional<fs::path> dockerfile_path_;  // on this machine
  std::string dockerfile_in_context_;
  std::shared_ptr<const IgnorePatterns> ignore_;
  std::vector<TempDirectory> checkouts_;
};

}  // namespace ctr
