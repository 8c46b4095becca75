#include "server/fetch/download.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "server/host/fd.h"
#include "tests/unit/server/fetch/scripted_server.h"

namespace basalt::fetch {
namespace {

using testing::Answer;
using testing::ScriptedServer;

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() : file_(memfd_create("target", MFD_CLOEXEC)) {
    for (const char* name : {"http_proxy", "https_proxy", "all_proxy"}) unsetenv(name);
    for (int i = 0; i < 20000; ++i) content_ += static_cast<char>('a' + i % 23);
    hooks_.progress = [this](Progress p) { last_ = p; };
    hooks_.failed = [this](Outcome outcome, const std::string& url, const std::string& why) {
      failed_.push_back(Reason(outcome) + " " + url);
    };
    hooks_.pause = [this](int) { ++pauses_; };
    hooks_.from = [this](int index) { from_ = index; };
  }
  Outcome Run(std::vector<std::string> urls) {
    arguments_.urls = std::move(urls);
    return Download(arguments_, file_.get(), hooks_, &why_);
  }
  std::string Content() {
    std::string text(static_cast<size_t>(lseek(file_.get(), 0, SEEK_END)), '\0');
    if (pread(file_.get(), text.data(), text.size(), 0) < 0) return "";
    return text;
  }
  void Preset(const std::string& text) {
    ASSERT_EQ(pwrite(file_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }

  host::UniqueFd file_;
  std::string content_;
  Arguments arguments_{.limit = 1 << 20, .stall_seconds = 1};
  Hooks hooks_;
  std::string why_;
  Progress last_;
  std::vector<std::string> failed_;
  int pauses_ = 0;
  int from_ = -1;
};

TEST_F(DownloadTest, TakesTheWholeFile) {
  ScriptedServer server([this](const auto& c) { c.Send(Answer("200 OK", content_)); });
  EXPECT_EQ(Run({server.Url()}), Outcome::kOk) << why_;
  EXPECT_EQ(Content(), content_);
  EXPECT_EQ(last_, (Progress{20000, 20000}));
}

TEST_F(DownloadTest, TriesMirrorsInTheirOrder) {
  ScriptedServer bad([](const auto& c) { c.Send(Answer("404 Not Found", "no")); });
  ScriptedServer good([this](const auto& c) { c.Send(Answer("200 OK", content_)); });
  EXPECT_EQ(Run({bad.Url(), "http://127.0.0.1:1/", good.Url()}), Outcome::kOk);
  EXPECT_EQ(from_, 2);
  EXPECT_EQ(failed_.size(), 2u);
  EXPECT_EQ(Content(), content_) << "the page that says 404 is not part of it";
}

TEST_F(DownloadTest, GoesOnAfterACut) {
  ScriptedServer server([this](const auto& c) {
    int64_t start = c.RangeStart();
    if (start < 0) {
      c.Send("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 20000\r\n\r\n" +
             content_.substr(0, 7000));
      return;
    }
    std::string rest = content_.substr(static_cast<size_t>(start));
    c.Send(Answer("206 Partial Content", rest,
                  "Content-Range: bytes " + std::to_string(start) + "-19999/20000\r\n"));
  });
  EXPECT_EQ(Run({server.Url()}), Outcome::kOk) << why_;
  EXPECT_EQ(Content(), content_);
  ASSERT_EQ(server.requests().size(), 2u);
  EXPECT_NE(server.requests()[1].find("If-Range: \"v1\""), std::string::npos);
}

TEST_F(DownloadTest, ResumesWhatAnEarlierProcessLeft) {
  Preset(content_.substr(0, 5000));
  ScriptedServer server([this](const auto& c) {
    c.Send(Answer("206 Partial Content", content_.substr(5000),
                  "Content-Range: bytes 5000-19999/20000\r\n"));
  });
  EXPECT_EQ(Run({server.Url()}), Outcome::kOk) << why_;
  EXPECT_EQ(Content(), content_);
}

TEST_F(DownloadTest, StartsAgainWhenTheServerKnowsNoRanges) {
  Preset(std::string(5000, 'x'));
  ScriptedServer server([this](const auto& c) { c.Send(Answer("200 OK", content_)); });
  EXPECT_EQ(Run({server.Url()}), Outcome::kOk);
  EXPECT_EQ(Content(), content_);
}

TEST_F(DownloadTest, StartsAgainWhenThereIsMoreThanTheServerHas) {
  Preset(std::string(30000, 'x'));
  ScriptedServer server([this](const auto& c) {
    c.Send(c.RangeStart() > 0 ? Answer("416 Range Not Satisfiable", "")
                              : Answer("200 OK", content_));
  });
  EXPECT_EQ(Run({server.Url()}), Outcome::kOk) << why_;
  EXPECT_EQ(Content(), content_);
}

TEST_F(DownloadTest, AnotherRangeThanAskedForIsRefused) {
  Preset(content_.substr(0, 5000));
  ScriptedServer server([this](const auto& c) {
    c.Send(Answer("206 Partial Content", content_.substr(100),
                  "Content-Range: bytes 100-19999/20000\r\n"));
  });
  EXPECT_EQ(Run({server.Url()}), Outcome::kFailed);
  EXPECT_EQ(Content(), content_.substr(0, 5000));
}

TEST_F(DownloadTest, MoreThanDeclaredIsCutOff) {
  arguments_.limit = arguments_.expected = 1000;
  ScriptedServer declared([this](const auto& c) { c.Send(Answer("200 OK", content_)); });
  EXPECT_EQ(Run({declared.Url()}), Outcome::kTooLarge);
  ScriptedServer lying(
      [this](const auto& c) { c.Send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content_); });
  EXPECT_EQ(Run({lying.Url()}), Outcome::kTooLarge);
  EXPECT_LE(Content().size(), 1000u);
}

TEST_F(DownloadTest, LessThanDeclaredIsAFailure) {
  arguments_.expected = 30000;
  ScriptedServer server([this](const auto& c) { c.Send(Answer("200 OK", content_)); });
  EXPECT_EQ(Run({server.Url()}), Outcome::kFailed);
  EXPECT_EQ(why_, "20000 bytes instead of 30000");
  EXPECT_EQ(Content(), "");
}

TEST_F(DownloadTest, AStallIsGivenUp) {
  ScriptedServer server([](const auto& c) {
    c.Send("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
    c.AwaitClose();
  });
  EXPECT_EQ(Run({server.Url()}), Outcome::kStalled);
}

TEST_F(DownloadTest, EndlessRedirectsEnd) {
  ScriptedServer server(
      [](const auto& c) { c.Send(Answer("302 Found", "", "Location: /again\r\n")); });
  EXPECT_EQ(Run({server.Url()}), Outcome::kRedirectLoop);
  EXPECT_EQ(server.requests().size(), static_cast<size_t>(kMaxRedirects) + 1);
}

TEST_F(DownloadTest, ARedirectToAFileIsNotFollowed) {
  ScriptedServer server(
      [](const auto& c) { c.Send(Answer("302 Found", "", "Location: file:///etc/passwd\r\n")); });
  EXPECT_EQ(Run({server.Url()}), Outcome::kFailed);
  EXPECT_EQ(Content(), "");
}

TEST_F(DownloadTest, AFullDiskEndsItAtOnce) {
  host::UniqueFd full(open("/dev/full", O_RDWR | O_CLOEXEC));
  ScriptedServer first([this](const auto& c) { c.Send(Answer("200 OK", content_)); });
  ScriptedServer second([this](const auto& c) { c.Send(Answer("200 OK", content_)); });
  file_ = std::move(full);
  EXPECT_EQ(Run({first.Url(), second.Url()}), Outcome::kDiskFull) << why_;
  EXPECT_TRUE(second.requests().empty());
}

TEST_F(DownloadTest, LocalFilesAreCopied) {
  char path[] = "/tmp/basalt-fetch-XXXXXX";
  host::UniqueFd source(mkstemp(path));
  std::ofstream(path) << content_;
  EXPECT_EQ(Run({std::string("file://") + path}), Outcome::kOk) << why_;
  EXPECT_EQ(Content(), content_);
  arguments_.limit = 100;
  EXPECT_EQ(Run({std::string("file://") + path}), Outcome::kTooLarge);
  unlink(path);
  EXPECT_EQ(Run({std::string("file://") + path}), Outcome::kFailed);
  EXPECT_EQ(Run({"file:///tmp"}), Outcome::kFailed);
}

TEST_F(DownloadTest, DifferentFailuresAreOneGeneralOne) {
  ScriptedServer loop(
      [](const auto& c) { c.Send(Answer("302 Found", "", "Location: /again\r\n")); });
  ScriptedServer missing([](const auto& c) { c.Send(Answer("404 Not Found", "")); });
  EXPECT_EQ(Run({loop.Url(), missing.Url()}), Outcome::kFailed);
}

}  // namespace
}  // namespace basalt::fetch
