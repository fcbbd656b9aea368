// Runs a health script of Argo CD as Argo CD does: the same interpreter, without the libraries that it leaves out, the resource
// as the global `obj`. Standard input: {"script": "...", "objects": [...]}. Standard output: one {"status", "message"} an object.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"
)

type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	var input struct {
		Script  string `json:"script"`
		Objects []any  `json:"objects"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		fail(err)
	}
	answers := make([]health, 0, len(input.Objects))
	for _, object := range input.Objects {
		answer, err := judge(input.Script, object)
		if err != nil {
			fail(err)
		}
		answers = append(answers, answer)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func judge(script string, object any) (health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	state.SetGlobal("obj", valueOf(state, object))
	if err := state.DoString(script); err != nil {
		return health{}, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return health{}, fmt.Errorf("the script returns no table but %s", state.Get(-1).Type())
	}
	return health{Status: textOf(table, "status"), Message: textOf(table, "message")}, nil
}

func textOf(table *lua.LTable, member string) string {
	if text, ok := table.RawGetString(member).(lua.LString); ok {
		return string(text)
	}
	return ""
}

func valueOf(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(valueOf(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for name, member := range value {
			table.RawSetString(name, valueOf(state, member))
		}
		return table
	}
	return lua.LNil
}
