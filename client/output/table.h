// Tables on a screen: columns as wide as their widest cell, cells escaped. Pure but for PrintTable.
#pragma once

#include <string>
#include <vector>

#include "client/output/io.h"

namespace basalt::client {

struct Table {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;
};

// Two spaces between columns, none at the end of a line. Width counts code points.
std::string Render(const Table& table);
void PrintTable(Io& io, const Table& table);

}  // namespace basalt::client
