/* synth_words.c: the tables behind synth_words.h. To sell something new, change a line here: the
 * database, the reviews, the questions and the notifications all read these. Names are short, for
 * the built-in model is small, and begin with a letter without accent, so that capitalising one
 * takes no table. */
#include "data/synth_words.h"

const char *const synth_categories[SYNTH_CATEGORIES] = {
    "eletrônicos", "casa",       "cozinha", "moda",     "beleza",
    "esporte",     "brinquedos", "livros",  "pet shop", "papelaria",
};

#define M false
#define F true
#define PLUG true
#define NO false
const struct synth_product synth_products[SYNTH_PRODUCTS] = {
    {"fone de ouvido", M, PLUG, 0, 49, 399},
    {"caixa de som", F, PLUG, 0, 89, 699},
    {"carregador portátil", M, PLUG, 0, 59, 249},
    {"relógio inteligente", M, PLUG, 0, 149, 1299},
    {"teclado sem fio", M, PLUG, 0, 79, 349},
    {"câmera de segurança", F, PLUG, 0, 119, 459},
    {"tablet", M, PLUG, 0, 599, 2499},
    {"monitor", M, PLUG, 0, 499, 1899},
    {"luminária", F, PLUG, 1, 39, 289},
    {"tapete", M, NO, 1, 59, 499},
    {"cortina", F, NO, 1, 49, 299},
    {"ventilador", M, PLUG, 1, 119, 389},
    {"jogo de lençol", M, NO, 1, 79, 359},
    {"espelho", M, NO, 1, 69, 449},
    {"poltrona", F, NO, 1, 399, 1599},
    {"estante", F, NO, 1, 199, 999},
    {"cafeteira", F, PLUG, 2, 99, 899},
    {"liquidificador", M, PLUG, 2, 89, 399},
    {"panela de pressão", F, NO, 2, 79, 359},
    {"jogo de facas", M, NO, 2, 49, 299},
    {"chaleira elétrica", F, PLUG, 2, 69, 249},
    {"fritadeira", F, PLUG, 2, 249, 799},
    {"garrafa térmica", F, NO, 2, 39, 199},
    {"batedeira", F, PLUG, 2, 119, 699},
    {"mochila", F, NO, 3, 69, 399},
    {"tênis", M, NO, 3, 119, 699},
    {"jaqueta", F, NO, 3, 129, 549},
    {"bolsa", F, NO, 3, 79, 459},
    {"vestido", M, NO, 3, 69, 349},
    {"cinto", M, NO, 3, 29, 149},
    {"camisa", F, NO, 3, 49, 249},
    {"boné", M, NO, 3, 29, 129},
    {"perfume", M, NO, 4, 59, 499},
    {"secador de cabelo", M, PLUG, 4, 79, 449},
    {"creme facial", M, NO, 4, 29, 199},
    {"kit de maquiagem", M, NO, 4, 49, 299},
    {"barbeador", M, PLUG, 4, 89, 459},
    {"chapinha", F, PLUG, 4, 69, 379},
    {"protetor solar", M, NO, 4, 29, 119},
    {"escova secadora", F, PLUG, 4, 99, 349},
    {"bicicleta", F, NO, 5, 699, 2899},
    {"bola de futebol", F, NO, 5, 39, 199},
    {"colchonete", M, NO, 5, 39, 149},
    {"halter", M, NO, 5, 29, 199},
    {"corda de pular", F, NO, 5, 19, 89},
    {"patinete", M, NO, 5, 199, 899},
    {"barraca de camping", F, NO, 5, 149, 799},
    {"raquete", F, NO, 5, 49, 499},
    {"quebra-cabeça", M, NO, 6, 29, 149},
    {"boneca", F, NO, 6, 39, 249},
    {"carrinho de controle", M, PLUG, 6, 59, 349},
    {"jogo de tabuleiro", M, NO, 6, 49, 259},
    {"urso de pelúcia", M, NO, 6, 29, 179},
    {"pista de corrida", F, NO, 6, 79, 399},
    {"kit de blocos", M, NO, 6, 39, 299},
    {"skate infantil", M, NO, 6, 69, 289},
    {"romance policial", M, NO, 7, 24, 89},
    {"livro de receitas", M, NO, 7, 29, 119},
    {"dicionário de inglês", M, NO, 7, 39, 149},
    {"biografia", F, NO, 7, 29, 99},
    {"livro infantil", M, NO, 7, 19, 79},
    {"revista em quadrinhos", F, NO, 7, 14, 69},
    {"atlas escolar", M, NO, 7, 39, 129},
    {"coletânea de contos", F, NO, 7, 24, 94},
    {"ração para gatos", F, NO, 8, 29, 219},
    {"cama para cachorro", F, NO, 8, 59, 289},
    {"coleira", F, NO, 8, 19, 99},
    {"arranhador", M, NO, 8, 49, 249},
    {"aquário", M, NO, 8, 89, 599},
    {"bebedouro", M, PLUG, 8, 59, 229},
    {"caixa de transporte", F, NO, 8, 79, 319},
    {"mordedor", M, NO, 8, 14, 69},
    {"caderno", M, NO, 9, 14, 69},
    {"estojo", M, NO, 9, 19, 99},
    {"agenda", F, NO, 9, 24, 109},
    {"calculadora", F, PLUG, 9, 29, 199},
    {"kit de canetas", M, NO, 9, 14, 119},
    {"quadro branco", M, NO, 9, 49, 249},
    {"grampeador", M, NO, 9, 19, 89},
    {"lancheira", F, NO, 9, 39, 149},
};

const char *const synth_regions[SYNTH_REGIONS] = {"Sudeste", "Sul", "Nordeste", "Centro-Oeste",
                                                  "Norte"};

const struct synth_state synth_states[SYNTH_STATES] = {
    {"SP", "em SP", 0}, {"RJ", "no RJ", 0}, {"MG", "em MG", 0}, {"RS", "no RS", 1},
    {"PR", "no PR", 1}, {"SC", "em SC", 1}, {"BA", "na BA", 2}, {"PE", "em PE", 2},
    {"CE", "no CE", 2}, {"GO", "em GO", 3}, {"DF", "no DF", 3}, {"PA", "no PA", 4},
};

/* More than one entry of a city would only weigh it; the larger states come first and are drawn
 * more often by synth_shop.c. */
const struct synth_city synth_cities[SYNTH_CITIES] = {
    {"São Paulo", 0},     {"Campinas", 0},       {"Santos", 0},           {"Rio de Janeiro", 1},
    {"Niterói", 1},       {"Belo Horizonte", 2}, {"Uberlândia", 2},       {"Porto Alegre", 3},
    {"Caxias do Sul", 3}, {"Curitiba", 4},       {"Londrina", 4},         {"Florianópolis", 5},
    {"Joinville", 5},     {"Salvador", 6},       {"Feira de Santana", 6}, {"Recife", 7},
    {"Olinda", 7},        {"Fortaleza", 8},      {"Sobral", 8},           {"Goiânia", 9},
    {"Anápolis", 9},      {"Brasília", 10},      {"Belém", 11},           {"Santarém", 11},
};

const char *const synth_first_names[SYNTH_FIRST_NAMES] = {
    "Ana",     "Bruno",  "Carla",   "Diego",   "Elaine",  "Fábio",   "Gabriela", "Heitor",
    "Isabela", "João",   "Karina",  "Lucas",   "Mariana", "Nelson",  "Olívia",   "Paulo",
    "Queila",  "Rafael", "Sabrina", "Tiago",   "Úrsula",  "Vítor",   "Wagner",   "Yasmin",
    "Aline",   "Caio",   "Débora",  "Eduardo", "Helena",  "Marcelo", "Patrícia", "Renata",
};

const char *const synth_surnames[SYNTH_SURNAMES] = {
    "Almeida", "Barbosa", "Cardoso", "Dias",     "Esteves", "Ferreira", "Gomes",   "Lima",
    "Martins", "Moreira", "Nunes",   "Oliveira", "Pereira", "Ramos",    "Ribeiro", "Rocha",
    "Santos",  "Silva",   "Souza",   "Teixeira", "Vieira",  "Araújo",   "Castro",  "Freitas",
};

const char *const synth_months[SYNTH_MONTHS] = {
    "janeiro", "fevereiro", "março",    "abril",   "maio",     "junho",
    "julho",   "agosto",    "setembro", "outubro", "novembro", "dezembro",
};

const char *const synth_numbers[SYNTH_NUMBERS] = {
    "zero", "um",   "dois", "três", "quatro", "cinco", "seis",
    "sete", "oito", "nove", "dez",  "onze",   "doze",
};
