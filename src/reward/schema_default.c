/* schema_default.c: schemas/review_extraction.json, byte for byte, so that the program needs no
 * file to score reviews. Made by tools/embed_schema.sh; a test compares the two. */
#include "reward/schema.h"

/* clang-format off */
const char schema_default_text[] =
    "{\n"
    "  \"name\": \"review_extraction\",\n"
    "  \"version\": 1,\n"
    "  \"fields\": [\n"
    "    {\"name\": \"sentimento\", \"type\": \"enum\", \"values\": [\"positivo\", \"neutro\", \"negativo\"], \"weight\": 0.16},\n"
    "    {\"name\": \"nota\", \"type\": \"integer\", \"minimum\": 1, \"maximum\": 5, \"tolerance\": 2, \"weight\": 0.14},\n"
    "    {\"name\": \"produto\", \"type\": \"string\", \"nullable\": true, \"max_length\": 80, \"from_prompt\": true, \"weight\": 0.12},\n"
    "    {\"name\": \"problema\", \"type\": \"enum\", \"values\": [\"nenhum\", \"atraso\", \"nao_entregue\", \"entrega_parcial\", \"produto_errado\", \"defeito\", \"qualidade\", \"atendimento\", \"outro\"], \"weight\": 0.14},\n"
    "    {\"name\": \"entrega_no_prazo\", \"type\": \"boolean\", \"nullable\": true, \"weight\": 0.08},\n"
    "    {\"name\": \"dias_atraso\", \"type\": \"integer\", \"nullable\": true, \"minimum\": 0, \"maximum\": 365, \"tolerance\": 3, \"weight\": 0.08},\n"
    "    {\"name\": \"recomenda\", \"type\": \"boolean\", \"nullable\": true, \"weight\": 0.06},\n"
    "    {\"name\": \"quer_devolucao\", \"type\": \"boolean\", \"weight\": 0.06},\n"
    "    {\"name\": \"valor\", \"type\": \"number\", \"nullable\": true, \"minimum\": 0, \"relative_tolerance\": 0.005, \"from_prompt\": true, \"weight\": 0.08},\n"
    "    {\"name\": \"resumo\", \"type\": \"string\", \"max_length\": 120, \"from_prompt\": true, \"weight\": 0.08}\n"
    "  ],\n"
    "  \"rules\": [\n"
    "    {\"if\": {\"field\": \"sentimento\", \"in\": [\"positivo\"]}, \"then\": {\"field\": \"nota\", \"minimum\": 4}},\n"
    "    {\"if\": {\"field\": \"sentimento\", \"in\": [\"negativo\"]}, \"then\": {\"field\": \"nota\", \"maximum\": 2}},\n"
    "    {\"if\": {\"field\": \"sentimento\", \"in\": [\"neutro\"]}, \"then\": {\"field\": \"nota\", \"minimum\": 2, \"maximum\": 4}},\n"
    "    {\"if\": {\"field\": \"recomenda\", \"in\": [true]}, \"then\": {\"field\": \"nota\", \"minimum\": 3}},\n"
    "    {\"if\": {\"field\": \"recomenda\", \"in\": [false]}, \"then\": {\"field\": \"nota\", \"maximum\": 3}},\n"
    "    {\"if\": {\"field\": \"sentimento\", \"in\": [\"negativo\"]}, \"then\": {\"field\": \"recomenda\", \"in\": [false, null]}},\n"
    "    {\"if\": {\"field\": \"problema\", \"in\": [\"nenhum\"]}, \"then\": {\"field\": \"quer_devolucao\", \"in\": [false]}},\n"
    "    {\"if\": {\"field\": \"problema\", \"in\": [\"atraso\", \"nao_entregue\"]}, \"then\": {\"field\": \"entrega_no_prazo\", \"in\": [false]}},\n"
    "    {\"if\": {\"field\": \"dias_atraso\", \"minimum\": 1}, \"then\": {\"field\": \"entrega_no_prazo\", \"in\": [false]}},\n"
    "    {\"if\": {\"field\": \"entrega_no_prazo\", \"in\": [true]}, \"then\": {\"field\": \"dias_atraso\", \"in\": [0, null]}}\n"
    "  ]\n"
    "}\n";
/* clang-format on */
