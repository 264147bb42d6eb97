"""Programming languages: which suffix is which, which tree-sitter grammar reads it, and what its trees call a function or a class.

To add a language with a grammar, add a line to GRAMMARS and its package to pyproject.toml; one without is read in blocks of lines.
"""

from __future__ import annotations

GRAMMARS: dict[str, tuple[str, str]] = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "c++": ("tree_sitter_cpp", "language"),
    "c#": ("tree_sitter_c_sharp", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "shell": ("tree_sitter_bash", "language"),
    "php": ("tree_sitter_php", "language_php"),
}
"""Language -> module of its grammar, and the function there that gives it."""

_SUFFIXES_OF = {
    "python": ".py .pyi .pyw",
    "javascript": ".js .mjs .cjs .jsx",
    "typescript": ".ts .mts .cts",
    "tsx": ".tsx",
    "go": ".go",
    "rust": ".rs",
    "java": ".java",
    "c": ".c",
    "c++": ".h .hh .hpp .hxx .cc .cpp .cxx .cu .cuh",  # the grammar of C++ reads C headers too
    "c#": ".cs",
    "ruby": ".rb",
    "shell": ".sh .bash .zsh",
    "php": ".php",
    # without a grammar
    "assembly": ".s .asm",
    "batch": ".bat .cmd",
    "clojure": ".clj .cljs .cljc",
    "cmake": ".cmake",
    "css": ".css .scss .sass .less",
    "cython": ".pyx .pxd .pxi",
    "dart": ".dart",
    "elixir": ".ex .exs",
    "elm": ".elm",
    "erlang": ".erl .hrl",
    "f#": ".fs .fsi .fsx",
    "fortran": ".f .f90 .f95 .for",
    "graphql": ".graphql .gql",
    "groovy": ".groovy .gradle",
    "haskell": ".hs",
    "julia": ".jl",
    "kotlin": ".kt .kts",
    "lisp": ".lisp .el .scm .rkt",
    "lua": ".lua",
    "make": ".mk",
    "nim": ".nim",
    "nix": ".nix",
    "objective-c": ".m .mm",
    "ocaml": ".ml .mli",
    "pascal": ".pas",
    "perl": ".pl .pm",
    "powershell": ".ps1 .psm1",
    "protobuf": ".proto",
    "r": ".r",
    "scala": ".scala",
    "solidity": ".sol",
    "sql": ".sql",
    "svelte": ".svelte",
    "swift": ".swift",
    "terraform": ".tf .hcl",
    "verilog": ".v .sv",
    "vhdl": ".vhd",
    "visual basic": ".vb",
    "vue": ".vue",
    "webgpu": ".wgsl .glsl",
    "zig": ".zig",
}

LANGUAGES = {suffix: language for language, suffixes in _SUFFIXES_OF.items() for suffix in suffixes.split()}
"""Suffix -> language."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS = _names("""
    function_definition function_declaration generator_function_declaration function_item macro_definition local_function_statement
    method_definition method_declaration method singleton_method
    constructor_declaration compact_constructor_declaration destructor_declaration operator_declaration conversion_operator_declaration
    type_declaration
""")
"""Nodes that are one item; `type_declaration` is Go's type."""

CLASSES = _names("""
    class_definition class_declaration abstract_class_declaration class_specifier class singleton_class
    struct_specifier union_specifier enum_specifier struct_declaration struct_item union_item enum_item enum_declaration
    interface_declaration annotation_type_declaration record_declaration record_struct_declaration
    trait_item trait_declaration impl_item
""")
"""Nodes that are one item if they are short and have members to be told apart if they are long; without a body they only name a class."""

FUNCTION_VALUES = _names("arrow_function function_expression generator_function anonymous_function class")
"""Values that make what they are assigned to a definition."""

ASSIGNMENTS = _names("""
    lexical_declaration variable_declaration variable_declarator expression_statement assignment_expression
    field_definition public_field_definition pair
""")

WRAPPERS = _names("decorated_definition export_statement template_declaration ambient_declaration type_definition declaration")
"""Nodes that belong to the definition in them."""

OPEN = _names("""
    module internal_module mod_item namespace_definition namespace_declaration linkage_specification foreign_mod_item
    declaration_list statement_block body_statement enum_body_declarations block compound_statement
    if_statement elif_clause else_clause try_statement except_clause finally_clause with_statement
    preproc_if preproc_ifdef preproc_else preproc_elif preproc_elifdef ERROR
""")
"""Nodes that are looked through: a namespace is no item, the functions in it are, and so are those defined on a condition."""

LEADING = _names("comment line_comment block_comment attribute_item decorator")
"""Nodes that belong to the definition right below them."""

ATTRIBUTES = _names("decorator attribute_item attribute_list attributes modifiers marker_annotation annotation")
"""Nodes in front of a definition's first line."""
