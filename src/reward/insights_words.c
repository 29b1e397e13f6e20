/* insights_words.c: the word lists of `insights`; see insights_words.h. Written by hand, folded (no
 * accents). Of each verb the infinitive and the singular imperative, whose plural adds an m; forms
 * that are mostly something else ("venda", "compra") are left out. The two lists go
 * side by side. */
#include "reward/insights_words.h"
#include "base/check.h"

/* clang-format off */
static const char *const infinitives[] = {
    "acelerar", "acompanhar", "adaptar", "adicionar", "agilizar", "ajustar", "alocar", "ampliar",
    "analisar", "antecipar", "apostar", "apresentar", "aprimorar", "aproveitar", "ativar",
    "atrair", "atualizar", "aumentar", "automatizar", "avaliar", "baixar", "buscar", "capacitar",
    "captar", "cobrar", "comparar", "comunicar", "concentrar", "conferir", "conhecer",
    "considerar", "contatar", "contratar", "controlar", "corrigir", "criar", "cuidar", "dar",
    "definir", "destacar", "desenvolver", "direcionar", "diversificar", "divulgar", "elevar",
    "eliminar", "engajar", "entender", "enviar", "escutar", "estabelecer", "estimular", "estudar",
    "evitar", "expandir", "explorar", "fazer", "fidelizar", "focar", "fortalecer", "garantir",
    "identificar", "implantar", "implementar", "impulsionar", "incentivar", "incluir", "informar",
    "integrar", "intensificar", "investigar", "investir", "lancar", "levar", "manter", "mapear",
    "medir", "melhorar", "monitorar", "montar", "mostrar", "mudar", "negociar", "observar",
    "oferecer", "otimizar", "ouvir", "padronizar", "personalizar", "pesquisar", "planejar",
    "premiar", "preparar", "priorizar", "procurar", "promover", "propor", "reativar", "realizar",
    "recompensar", "redistribuir", "reduzir", "reforcar", "renegociar", "repensar", "replicar",
    "repor", "resolver", "responder", "rever", "revisar", "segmentar", "simplificar", "sugerir",
    "testar", "tornar", "trabalhar", "treinar", "trocar", "usar", "utilizar", "valorizar",
    "verificar",
};
static const char *const imperatives[] = {
    "acelere", "acompanhe", "adapte", "adicione", "agilize", "ajuste", "aloque", "amplie",
    "analise", "antecipe", "aposte", "apresente", "aprimore", "aproveite", "ative",
    "atraia", "atualize", "aumente", "automatize", "avalie", "baixe", "busque", "capacite",
    "capte", "cobre", "compare", "comunique", "concentre", "confira", "conheca",
    "considere", "contate", "contrate", "controle", "corrija", "crie", "cuide", "de",
    "defina", "destaque", "desenvolva", "direcione", "diversifique", "divulgue", "eleve",
    "elimine", "engaje", "entenda", "envie", "escute", "estabeleca", "estimule", "estude",
    "evite", "expanda", "explore", "faca", "fidelize", "foque", "fortaleca", "garanta",
    "identifique", "implante", "implemente", "impulsione", "incentive", "inclua", "informe",
    "integre", "intensifique", "investigue", "invista", "lance", "leve", "mantenha", "mapeie",
    "meca", "melhore", "monitore", "monte", "mostre", "mude", "negocie", "observe",
    "ofereca", "otimize", "ouca", "padronize", "personalize", "pesquise", "planeje",
    "premie", "prepare", "priorize", "procure", "promova", "proponha", "reative", "realize",
    "recompense", "redistribua", "reduza", "reforce", "renegocie", "repense", "replique",
    "reponha", "resolva", "responda", "reveja", "revise", "segmente", "simplifique", "sugira",
    "teste", "torne", "trabalhe", "treine", "troque", "use", "utilize", "valorize",
    "verifique",
};
static const char *const domain[] = {
    "atendimento", "atraso", "atrasos", "avaliacao", "avaliacoes", "campanha", "campanhas",
    "cancelamento", "cancelamentos", "carrinho", "catalogo", "categoria", "categorias", "cliente",
    "clientes", "compra", "compras", "conversao", "custo", "demanda", "desconto", "descontos",
    "devolucao", "devolucoes", "entrega", "entregas", "estoque", "faturamento", "fidelidade",
    "fornecedor", "fornecedores", "frete", "loja", "lucro", "margem", "marketing", "mercado",
    "nota", "oferta", "ofertas", "pagamento", "parcelamento", "pedido", "pedidos", "pix", "prazo",
    "prazos", "preco", "precos", "produto", "produtos", "promocao", "promocoes", "qualidade",
    "receita", "reclamacoes", "recompra", "retencao", "satisfacao", "ticket", "transportadora",
    "venda", "vendas", "vendedor", "vendedores",
};
/* clang-format on */

bool insights_action(struct slice word, int *verb)
{
    _Static_assert(ARRAY_LENGTH(infinitives) == ARRAY_LENGTH(imperatives), "pairs");
    if (word.length < 3) /* "de" is the preposition */
        return false;
    struct slice singular = word;
    if (word.data[word.length - 1] == 'm')
        singular.length--;
    for (size_t i = 0; i < ARRAY_LENGTH(infinitives); i++)
        if (word.data[0] == infinitives[i][0] && /* pairs begin alike */
            (slice_equals(word, infinitives[i]) ||
             (singular.length > 2 && slice_equals(singular, imperatives[i])))) {
            *verb = (int)i;
            return true;
        }
    return false;
}

const char *insights_domain_word(size_t i)
{
    return i < ARRAY_LENGTH(domain) ? domain[i] : NULL;
}
