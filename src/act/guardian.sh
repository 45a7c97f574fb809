#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Outlives a killed controller. Waits on a pipe whose other end the controller holds: "done" means that everything is
# undone; end of file means that the controller died, and its journal is undone here. A shell, because it waits beside
# every VM and should weigh nothing while it does.
# Arguments: the node program, the slackwater program, the journal.
trap '' INT TERM HUP
if read -r word && [ "$word" = done ]; then
  exit 0
fi
exec "$1" "$2" restore --journal "$3" --wait
