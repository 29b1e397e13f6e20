/* olist_words.c: Brazil's states as one says them, and Olist's categories as one writes them. */
#include <string.h>
#include "data/olist_parts.h"

#define EM(code, name)                                                                             \
    {                                                                                              \
        code, "em " name " (" code ")", "de " name " (" code ")"                                   \
    }
#define NO(code, name)                                                                             \
    {                                                                                              \
        code, "no " name " (" code ")", "do " name " (" code ")"                                   \
    }
#define NA(code, name)                                                                             \
    {                                                                                              \
        code, "na " name " (" code ")", "da " name " (" code ")"                                   \
    }
const struct olist_state olist_states[OLIST_STATES] = {
    NO("AC", "Acre"),
    EM("AL", "Alagoas"),
    NO("AM", "Amazonas"),
    NO("AP", "Amapá"),
    NA("BA", "Bahia"),
    NO("CE", "Ceará"),
    NO("DF", "Distrito Federal"),
    NO("ES", "Espírito Santo"),
    EM("GO", "Goiás"),
    NO("MA", "Maranhão"),
    EM("MG", "Minas Gerais"),
    NO("MS", "Mato Grosso do Sul"),
    NO("MT", "Mato Grosso"),
    NO("PA", "Pará"),
    NA("PB", "Paraíba"),
    EM("PE", "Pernambuco"),
    NO("PI", "Piauí"),
    NO("PR", "Paraná"),
    NO("RJ", "Rio de Janeiro"),
    NO("RN", "Rio Grande do Norte"),
    EM("RO", "Rondônia"),
    EM("RR", "Roraima"),
    NO("RS", "Rio Grande do Sul"),
    EM("SC", "Santa Catarina"),
    EM("SE", "Sergipe"),
    {"SP", "no estado de São Paulo (SP)", "do estado de São Paulo (SP)"}, /* not the city */
    NO("TO", "Tocantins"),
};

int olist_state_index(const char *code)
{
    for (int i = 0; code && i < OLIST_STATES; i++)
        if (strcmp(olist_states[i].code, code) == 0)
            return i;
    return -1;
}

static const char *const categories[][2] = {
    {"agro_industria_e_comercio", "agroindústria e comércio"},
    {"alimentos_bebidas", "alimentos e bebidas"},
    {"artes_e_artesanato", "artes e artesanato"},
    {"artigos_de_festas", "artigos de festa"},
    {"audio", "áudio"},
    {"bebes", "bebês"},
    {"beleza_saude", "beleza e saúde"},
    {"cama_mesa_banho", "cama, mesa e banho"},
    {"casa_conforto", "casa e conforto"},
    {"casa_conforto_2", "casa e conforto"},
    {"casa_construcao", "casa e construção"},
    {"cds_dvds_musicais", "CDs e DVDs musicais"},
    {"cine_foto", "cinema e fotografia"},
    {"climatizacao", "climatização"},
    {"consoles_games", "consoles e games"},
    {"construcao_ferramentas_construcao", "ferramentas de construção"},
    {"construcao_ferramentas_ferramentas", "ferramentas para obras"},
    {"construcao_ferramentas_iluminacao", "iluminação"},
    {"construcao_ferramentas_jardim", "ferramentas de jardinagem"},
    {"construcao_ferramentas_seguranca", "segurança para obras"},
    {"cool_stuff", "presentes criativos"},
    {"dvds_blu_ray", "DVDs e blu-ray"},
    {"eletrodomesticos", "eletrodomésticos"},
    {"eletrodomesticos_2", "eletrodomésticos"},
    {"eletronicos", "eletrônicos"},
    {"eletroportateis", "eletroportáteis"},
    {"esporte_lazer", "esporte e lazer"},
    {"fashion_bolsas_e_acessorios", "bolsas e acessórios"},
    {"fashion_calcados", "calçados"},
    {"fashion_esporte", "moda esportiva"},
    {"fashion_roupa_feminina", "roupas femininas"},
    {"fashion_roupa_infanto_juvenil", "roupas infantojuvenis"},
    {"fashion_roupa_masculina", "roupas masculinas"},
    {"fashion_underwear_e_moda_praia", "moda íntima e praia"},
    {"ferramentas_jardim", "ferramentas e jardim"},
    {"fraldas_higiene", "fraldas e higiene"},
    {"industria_comercio_e_negocios", "indústria, comércio e negócios"},
    {"informatica_acessorios", "acessórios de informática"},
    {"la_cuisine", "cozinha gourmet"},
    {"livros_interesse_geral", "livros de interesse geral"},
    {"livros_tecnicos", "livros técnicos"},
    {"malas_acessorios", "malas e acessórios"},
    {"market_place", "artigos variados"},
    {"moveis_colchao_e_estofado", "colchões e estofados"},
    {"moveis_cozinha_area_de_servico_jantar_e_jardim", "móveis de cozinha e jardim"},
    {"moveis_decoracao", "móveis e decoração"},
    {"moveis_escritorio", "móveis de escritório"},
    {"moveis_quarto", "móveis de quarto"},
    {"moveis_sala", "móveis de sala"},
    {"musica", "música"},
    {"pcs", "computadores"},
    {"pet_shop", "pet shop"},
    {"portateis_casa_forno_e_cafe", "portáteis de forno e café"},
    {"portateis_cozinha_e_preparadores_de_alimentos", "portáteis de cozinha"},
    {"relogios_presentes", "relógios e presentes"},
    {"seguros_e_servicos", "seguros e serviços"},
    {"sinalizacao_e_seguranca", "sinalização e segurança"},
    {"tablets_impressao_imagem", "tablets e impressão"},
    {"utilidades_domesticas", "utilidades domésticas"},
};

void olist_category_words(struct str *out, const char *category)
{
    for (size_t i = 0; i < ARRAY_LENGTH(categories); i++)
        if (strcmp(categories[i][0], category) == 0) {
            str_puts(out, categories[i][1]);
            return;
        }
    for (const char *c = category; *c; c++)
        str_putc(out, *c == '_' ? ' ' : *c);
}

void olist_month_words(struct str *out, int month)
{
    str_printf(out, "%s de %d", synth_months[month % 12], month / 12);
}
