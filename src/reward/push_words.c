/* push_words.c: the word lists of `push`; see push_words.h.
 *
 * Written by hand for this program. Lower case, each list in the order of its bytes (a test checks
 * this). At first use all go into one hash table, since every word of a text is looked up, and
 * fourteen searches for each were a third of the time that `push` takes. A word belongs to as many
 * lists as apply, except that `grammar` and `common` hold what the lists before them do not, and
 * `foreign` nothing that is Portuguese too. */
#include "reward/push_words.h"
#include <pthread.h>
#include <string.h>
#include "base/check.h"
#include "base/map.h"

/* clang-format off */

/* What needs a noun after it */
static const char *const prepositions[] = {
    "com", "contra", "de", "desde", "em", "entre", "para", "por", "pra", "sem", "sob", "sobre",
};

/* A preposition and an article in one */
static const char *const contractions[] = {
    "ao", "aos", "da", "das", "dessa", "desse", "desta", "deste", "do", "dos", "na", "nas",
    "nessa", "nesse", "nesta", "neste", "no", "nos", "num", "numa", "pela", "pelas", "pelo",
    "pelos", "pro", "pros", "à", "às",
};

static const char *const articles[] = {
    "a", "as", "o", "os",
};

/* What cannot end a clause */
static const char *const conjunctions[] = {
    "e", "mas", "nem", "ou", "pois", "porque", "que", "se",
};

static const char *const possessives[] = {
    "meu", "meus", "minha", "minhas", "nossa", "nossas", "nosso", "nossos", "seu", "seus",
    "sua", "suas", "teu", "teus", "tua", "tuas",
};

/* The other words that hold a sentence together */
static const char *const grammar[] = {
    "agora", "ainda", "algo", "alguém", "ali", "além", "amanhã", "antes", "apenas", "após",
    "aquela", "aquele", "aqui", "aquilo", "assim", "até", "aí", "bem", "cada", "como", "dela",
    "delas", "dele", "deles", "depois", "disso", "durante", "ela", "elas", "ele", "eles",
    "embora", "enquanto", "então", "era", "essa", "essas", "esse", "esses", "esta", "estar",
    "estas", "estava", "este", "esteja", "estes", "estou", "está", "estão", "eu", "faz",
    "fazer", "fica", "ficar", "ficou", "foi", "gente", "hoje", "há", "ir", "isso", "isto", "já",
    "lhe", "logo", "lá", "mais", "mal", "me", "menos", "mesma", "mesmo", "mim", "muita",
    "muitas", "muito", "muitos", "nada", "ninguém", "nisso", "nunca", "não", "nós", "onde",
    "ontem", "outra", "outras", "outro", "outros", "pode", "podem", "porquê", "pouca", "pouco",
    "quais", "qual", "quando", "quanta", "quanto", "quase", "quem", "quer", "quê", "seja",
    "sempre", "ser", "sim", "sou", "são", "só", "também", "tanta", "tanto", "te", "tem",
    "tenha", "ter", "ti", "tinha", "toda", "todas", "todo", "todos", "tu", "tudo", "tão", "têm",
    "um", "uma", "umas", "uns", "vai", "vamos", "vc", "vem", "você", "vocês", "vão", "é",
};

/* Words that speak to the reader */
static const char *const reader[] = {
    "abra", "abre", "acesse", "acompanhe", "acredita", "adicione", "adivinha", "adivinhe",
    "aguarda", "aguarde", "antecipe", "aproveita", "aproveite", "arrasa", "arrase", "ative",
    "avalie", "baixe", "bora", "busque", "capriche", "celebre", "chegue", "clica", "clique",
    "coloque", "comemore", "complete", "compra", "compre", "confere", "confia", "confira",
    "conheça", "conta", "conte", "contigo", "corra", "corre", "cuide", "deixe", "descubra",
    "dê", "eba", "economize", "ei", "encontre", "entra", "entre", "escolha", "escolhe",
    "espere", "espia", "espie", "esqueça", "experimente", "faça", "finalize", "fique", "ganhe",
    "garanta", "imagine", "leva", "leve", "mime", "monte", "mude", "navegue", "oba", "oi",
    "olha", "olhe", "olá", "opa", "ops", "pague", "parcele", "pede", "pega", "pegue", "pense",
    "perca", "peça", "ponha", "prepare", "presenteie", "procure", "psiu", "receba", "relaxa",
    "relaxe", "renove", "reserve", "resgate", "separe", "seu", "seus", "sinta", "sorria", "sua",
    "suas", "surpreenda", "te", "teste", "teu", "teus", "ti", "toque", "troque", "tua", "tuas",
    "uau", "ufa", "use", "vamos", "vc", "veja", "vem", "venha", "viva", "você", "vocês",
    "volta", "volte",
};

/* Of them, the imperatives that are nothing else */
static const char *const imperatives[] = {
    "acesse", "acompanhe", "aproveita", "aproveite", "ative", "baixe", "capriche", "confere",
    "confira", "conheça", "corra", "descubra", "economize", "espere", "esqueça", "experimente",
    "fique", "ganhe", "garanta", "pegue", "perca", "prepare", "presenteie", "receba", "relaxe",
    "renove", "separe", "sinta", "sorria", "surpreenda", "veja", "venha",
};

/* Finite verbs that pushes live on */
static const char *const verbs[] = {
    "abre", "abriu", "acaba", "acabam", "acabando", "acabou", "acompanha", "aconteceu", "adora",
    "adoramos", "adorou", "agradece", "ama", "amamos", "amou", "aparece", "aprovaram",
    "aprovou", "aquece", "aumentou", "baixaram", "baixou", "brilha", "brilhou", "cabe", "cabem",
    "cai", "caiu", "caíram", "chama", "chamam", "chamou", "chega", "chegam", "chegando",
    "chegaram", "chegou", "clica", "combina", "começa", "começou", "conquistou", "conta",
    "contou", "cuida", "deixe", "deixou", "desceu", "deu", "disse", "diz", "dizem", "dura",
    "durou", "dá", "dão", "elogiaram", "elogiou", "encontrou", "entra", "entrou", "era",
    "escolhe", "esgota", "esgotando", "esgotou", "espera", "esperam", "esperando", "esperou",
    "esquenta", "estava", "estou", "estreou", "está", "estão", "expira", "expirou", "falta",
    "faltam", "faltou", "faz", "fez", "fica", "ficam", "ficaram", "ficou", "foi", "funciona",
    "ganha", "ganhou", "garante", "gosta", "gostaram", "gostou", "há", "lançamos", "lançou",
    "leva", "liberamos", "liberou", "mandou", "melhorou", "merece", "mudou", "oferece", "parou",
    "passa", "passou", "pede", "pediu", "pinta", "pintou", "pode", "podem", "precisa",
    "preparamos", "procura", "procurando", "procurava", "protege", "quer", "querem", "queremos",
    "recomendam", "recomendou", "refresca", "relaxa", "resolve", "resta", "restam", "rola",
    "rolou", "sabe", "sabia", "sai", "saindo", "saiu", "saíram", "seja", "sentimos",
    "separamos", "sobraram", "sobrou", "sou", "subiu", "são", "tem", "temos", "termina",
    "terminou", "tinha", "tornou", "traz", "trouxe", "trouxemos", "têm", "une", "vai", "vale",
    "valem", "vamos", "vem", "vence", "vencendo", "venceu", "vira", "virou", "viu", "volta",
    "voltam", "voltando", "voltaram", "voltou", "vão", "vê", "é",
};

/* Frequent words of everyday and shop Portuguese */
static const char *const common[] = {
    "abacaxi", "abaixo", "aberta", "aberto", "abraço", "abril", "acabar", "aceita", "acesso",
    "acessórios", "achado", "achados", "acima", "acompanhar", "adeus", "adorar", "agosto",
    "ajuda", "alegria", "algum", "alguma", "algumas", "alguns", "alta", "alto", "amada",
    "amado", "amante", "amantes", "amar", "amarelo", "ambiente", "amei", "amiga", "amigas",
    "amigo", "amigos", "amor", "amostra", "animada", "animado", "aniversário", "ano", "anos",
    "apaixonada", "apaixonado", "apaixonar", "aparelho", "apartamento", "apartir", "aplicativo",
    "app", "aprovada", "aprovado", "aproveitar", "aquecer", "ar", "arrasou", "arrumar", "arte",
    "artigo", "atendimento", "atenção", "atraso", "atrás", "atual", "atualizar", "autêntico",
    "avaliação", "avaliações", "aventura", "avisa", "avisar", "aviso", "avisou", "azul",
    "açúcar", "baby", "banheiro", "banho", "barata", "barato", "barulho", "bateria", "bebê",
    "beijo", "bela", "beleza", "belo", "bem-vinda", "bem-vindo", "bermuda", "bicho",
    "bicicleta", "black", "bluetooth", "blusa", "boa", "boas", "boas-vindas", "bola", "bolo",
    "bolsa", "bolso", "bolsos", "bom", "boneca", "bonita", "bonito", "bons", "bota",
    "boticário", "botão", "branca", "branco", "brasil", "brasileira", "brasileiro", "brilho",
    "brincar", "brinde", "brindes", "brinquedo", "brinquedos", "busca", "bônus", "cabelo",
    "cabelos", "cabeça", "cabo", "cadeira", "caderno", "cafeteira", "café", "cafés", "cair",
    "caixa", "calma", "calor", "calorzão", "calça", "calçado", "cama", "caminhada", "caminho",
    "camisa", "camiseta", "campeão", "caneca", "caneta", "cansou", "cantinho", "canto", "capa",
    "caprichada", "caprichado", "capricho", "cara", "carga", "carinha", "carinho", "caro",
    "carrinho", "carro", "carta", "cartão", "casa", "casaco", "casal", "casamento", "cashback",
    "casinha", "caso", "categoria", "caçula", "cedo", "celular", "centro", "certa", "certeza",
    "certo", "cesta", "chaleira", "chance", "charme", "chave", "chegada", "chegar", "cheia",
    "cheio", "cheirinho", "cheiro", "cheirosa", "cheiroso", "chocolate", "churrasco", "chuva",
    "chuveiro", "chá", "chão", "cidade", "cinco", "cinema", "cinto", "clicar", "cliente",
    "clientes", "clima", "clube", "clássico", "coberta", "cobertor", "coisa", "coisas", "colar",
    "coleção", "colher", "colorida", "colorido", "combinar", "combinação", "combo", "começar",
    "começo", "comida", "companhia", "completa", "completo", "comprador", "comprar", "compras",
    "comprinha", "comprinhas", "comprou", "computador", "conforto", "confortáveis",
    "confortável", "conhecer", "conjunto", "conquista", "conseguir", "contar", "contato",
    "conteúdo", "continho", "conversa", "cor", "coragem", "coração", "cores", "corpo",
    "correio", "corrente", "correr", "corrida", "cozinha", "cozinhar", "creme", "criança",
    "crianças", "cuidado", "cuidados", "cuidar", "cupom", "cupomzinho", "cupons", "curso",
    "curta", "curtir", "custa", "custo", "câmera", "dar", "data", "data-limite", "decorar",
    "decoração", "dedo", "deliciosa", "delicioso", "delivery", "delícia", "demais", "demora",
    "dentro", "descansar", "desconto", "descontos", "descontão", "desculpa", "desejada",
    "desejado", "desejo", "desejos", "desempenho", "desligar", "despedida", "destino",
    "detalhe", "detalhes", "devolução", "dez", "dezembro", "dia", "dias", "diazinho", "dica",
    "dicas", "diferente", "diferença", "difícil", "dinheiro", "direta", "direto", "disponíveis",
    "disponível", "diversão", "dividir", "dobro", "doce", "doces", "dois", "dona", "dono",
    "dormir", "duas", "dupla", "duplo", "durabilidade", "duradoura", "dúvida", "dúvidas",
    "e-mail", "economia", "economizar", "edição", "efeito", "elegante", "elegância", "elogiada",
    "elogiado", "elogio", "elogios", "elétrica", "elétrico", "email", "emoção", "encanto",
    "encomenda", "endereço", "energia", "enfim", "engraçado", "entrar", "entrega", "entregar",
    "entregas", "entregue", "enviada", "enviado", "enviar", "envio", "equipamento", "equipe",
    "errado", "escada", "escola", "escolhas", "escolher", "escova", "escrever", "escritório",
    "espaço", "especiais", "especial", "espelho", "esperada", "esperado", "esperança",
    "esporte", "esportes", "esposa", "estação", "estilinho", "estilo", "estilosa", "estiloso",
    "estojo", "estoque", "estoques", "estreia", "estrela", "estrelas", "estudar", "etapa",
    "exclusiva", "exclusivas", "exclusivo", "exclusivos", "exemplo", "exercício", "experiência",
    "faca", "facinho", "falar", "família", "fashion", "favorita", "favoritas", "favorito",
    "favoritos", "fazendo", "feira", "feita", "feito", "felicidade", "feliz", "felizes",
    "ferramenta", "ferramentas", "ferro", "festa", "fevereiro", "fila", "filha", "filho",
    "filhos", "filme", "fim", "fim-de-semana", "final", "finalmente", "fitness", "flor",
    "flores", "fogão", "folga", "fome", "fone", "fones", "fora", "forma", "forno", "forte",
    "força", "foto", "fotos", "frasco", "fresca", "fresco", "frete", "fria", "friday",
    "frigideira", "frio", "friozinho", "friozão", "frita", "fritadeira", "fruta", "frutas",
    "futebol", "futuro", "fácil", "fã", "fãs", "féria", "férias", "galera", "game", "gamer",
    "ganhar", "garantia", "garantida", "garantido", "garantir", "garota", "garoto", "garrafa",
    "gasta", "gastar", "gatinho", "gato", "gelada", "geladeira", "geladinha", "geladinho",
    "gelado", "gelo", "geral", "gesto", "gostar", "gostinho", "gosto", "gostosa", "gostosinho",
    "gostoso", "grana", "grande", "grandes", "gratuita", "gratuito", "grátis", "guarda",
    "guarda-roupa", "guardado", "guardar", "história", "home", "hora", "horas", "horário",
    "humor", "ida", "idade", "ideal", "ideia", "ideias", "igual", "imperdíveis", "imperdível",
    "importante", "incríveis", "incrível", "infantil", "inteira", "inteiro", "inverno",
    "início", "irresistível", "item", "itens", "janeiro", "janela", "jantar", "jardim",
    "jardinagem", "jeitinho", "jeito", "jogar", "jogo", "jogos", "joia", "jovem", "julho",
    "junho", "junto", "juntos", "juros", "kids", "kit", "ladinho", "lado", "lanche",
    "lançamento", "lançamentos", "lar", "laranja", "lata", "lazer", "led", "legal", "leite",
    "leitura", "lembrança", "lembrar", "lembrou", "lençol", "lençóis", "leque", "levar",
    "levinho", "liberada", "liberado", "lida", "ligar", "limitada", "limitadas", "limitado",
    "limite", "limpa", "limpar", "limpeza", "limpo", "linda", "lindas", "lindo", "lindos",
    "linha", "link", "liquidação", "liquidificador", "lista", "livre", "livro", "livros",
    "loja", "lojas", "lojinha", "longe", "longo", "look", "looks", "lua", "lugar", "luminária",
    "luxo", "luz", "luzes", "lâmpada", "lê", "macia", "macio", "madeira", "madrugada", "maio",
    "maior", "mala", "malas", "mamãe", "mandar", "manhã", "manta", "mar", "maravilha",
    "maravilhosa", "maravilhoso", "marca", "marcas", "marido", "março", "massa", "matar",
    "material", "mega", "mega-oferta", "meia", "meias", "meio", "melhor", "melhores", "menina",
    "menino", "menor", "mensagem", "menta", "mesa", "meses", "mesinha", "metade", "mexe", "mil",
    "mimo", "mimos", "minuto", "minutos", "missão", "mochila", "moda", "modelo", "modelos",
    "moeda", "momento", "momentos", "moto", "mouse", "mulher", "mulheres", "mundo", "máquina",
    "mãe", "mães", "mão", "mãos", "mês", "móveis", "móvel", "música", "músicas", "namorada",
    "namorado", "natal", "natural", "natureza", "necessário", "negócio", "neve", "ninho",
    "noite", "noites", "nome", "nota", "notas", "notebook", "notícia", "notícias", "nova",
    "novas", "novembro", "novidade", "novidades", "novinha", "novinho", "novo", "novos",
    "nível", "número", "obrigada", "obrigado", "ocasião", "oferta", "ofertas", "ofertão", "off",
    "olhada", "olhadinha", "olho", "olhos", "online", "opinião", "oportunidade", "opção",
    "opções", "original", "ouro", "outlet", "outubro", "ouvido", "ouvir", "paciência", "padrão",
    "pagamento", "pagar", "pai", "pais", "paixão", "palavra", "panela", "panelas", "panetone",
    "pano", "papel", "par", "parabéns", "parada", "parar", "parcelas", "parede", "parque",
    "parte", "partir", "passagem", "passar", "passeio", "pasta", "pausa", "paz", "pedacinho",
    "pedaço", "pedido", "pedidos", "pele", "pena", "pequena", "pequeno", "percam", "perder",
    "perdeu", "perdi", "perfeita", "perfeito", "perfeitos", "perfume", "perfumes", "perto",
    "período", "pessoa", "pessoas", "pet", "pets", "peças", "pia", "piscina", "pix", "planeta",
    "plano", "planta", "plantas", "poder", "poderosa", "poderoso", "pontinho", "ponto",
    "pontos", "porta", "portátil", "possível", "potente", "potência", "pouquinho", "praia",
    "praticidade", "prato", "pratos", "prazo", "precinho", "precão", "preferida", "preferido",
    "preferidos", "presa", "presente", "presentear", "presentes", "presentinho", "pressa",
    "prestes", "preta", "preto", "preço", "preços", "primavera", "primeira", "primeiro",
    "problema", "processo", "produto", "produtos", "professor", "promo", "promocional",
    "promoção", "promoções", "pronta", "pronta-entrega", "prontinha", "prontinho", "pronto",
    "proteger", "proteção", "prática", "prático", "prêmio", "prêmios", "própria", "próprio",
    "próxima", "próximo", "pulso", "pura", "puro", "páscoa", "pão", "pé", "pés", "qualidade",
    "qualquer", "quarta", "quarto", "quatro", "queima", "quente", "quentinha", "quentinho",
    "querida", "queridinha", "queridinho", "querido", "queridos", "quinta", "quinze", "rapidez",
    "rapidinho", "raro", "reais", "real", "recado", "receber", "recebeu", "receita", "recheada",
    "recheado", "recomendo", "rede", "reforma", "refrescante", "refrescar", "relaxar",
    "relâmpago", "relógio", "relógios", "remédio", "renovar", "repor", "reposição", "reserva",
    "resistente", "resposta", "resto", "resultado", "reunião", "revista", "rir", "ritmo",
    "rolê", "romance", "rosa", "rotina", "roupa", "roupas", "rua", "ruas", "ruim", "rádio",
    "rápida", "rápido", "sabado", "saber", "sabor", "sabores", "sacola", "sala", "salada",
    "saldo", "saldão", "salto", "salão", "samba", "sandália", "sapato", "sapatos", "satisfação",
    "saudade", "saudades", "saúde", "seca", "secador", "seco", "seda", "segredo", "seguir",
    "segunda", "segundo", "segura", "seguro", "seis", "selecionadas", "selecionados", "seleção",
    "selo", "semana", "semanas", "sensação", "sentir", "serviço", "sete", "setembro", "sexta",
    "shopping", "show", "silencioso", "silêncio", "simples", "sinal", "site", "smart",
    "smartphone", "sobremesa", "sofisticação", "sofá", "sol", "solzão", "som", "sonhada",
    "sonhado", "sonho", "sonhos", "sono", "sorriso", "sorte", "sorteio", "suave", "suaves",
    "sucesso", "suco", "super", "surpresa", "surpresas", "susto", "sábado", "tabela", "tablet",
    "tal", "talento", "tamanho", "tamanhos", "tambor", "tampa", "tapete", "tarde", "tardes",
    "taxa", "taça", "tecido", "teclado", "tela", "telefone", "televisão", "temperatura",
    "temperinho", "tempero", "tempo", "tempos", "terceira", "terra", "terça", "tesouro", "teto",
    "tia", "time", "tinta", "tio", "tipo", "tira", "tiro", "toalha", "toalhas", "top", "topo",
    "torcida", "torneira", "torta", "total", "trabalhar", "trabalho", "tradição", "travesseiro",
    "treinar", "treino", "treinos", "trem", "trilha", "triste", "troca", "trocar", "trânsito",
    "três", "turma", "tv", "técnica", "tênis", "unha", "unhas", "unidade", "unidades", "usada",
    "usado", "usar", "uso", "vaga", "vagas", "vaidade", "valor", "valores", "vantagem",
    "vantagens", "variedade", "vaso", "vela", "velas", "velha", "velho", "vem-aí", "venda",
    "vendas", "vendedor", "vendida", "vendido", "ventilador", "vento", "ver", "verdade",
    "verde", "vermelha", "vermelho", "versão", "verão", "vestido", "vestidos", "vestir", "vez",
    "vezes", "viagem", "viagens", "viajar", "vida", "vidro", "vinda", "vinho", "vinte", "vip",
    "visita", "visual", "vitrine", "vitória", "viver", "vizinha", "vizinho", "voar", "voltar",
    "vontade", "voo", "voz", "várias", "vários", "whatsapp", "wi-fi", "wifi", "xodó", "xícara",
    "zero", "zoeira", "água", "ânimo", "época", "óculos", "ótima", "ótimo", "última", "últimas",
    "último", "últimos", "única", "único", "únicos", "útil",
};

/* Frequent English and Spanish words that are no Portuguese ones */
static const char *const foreign[] = {
    "about", "after", "again", "ahora", "air", "al", "all", "also", "amazing", "an", "and",
    "animal", "another", "answer", "any", "aprovecha", "aquí", "are", "around", "ask", "at",
    "available", "away", "back", "be", "because", "been", "before", "being", "best", "bien",
    "big", "boy", "buena", "bueno", "buenos", "but", "buy", "by", "call", "came", "can",
    "change", "check", "click", "collection", "come", "con", "consigue", "could", "customer",
    "customers", "cuándo", "cómo", "day", "deal", "dear", "del", "description", "descubre",
    "descuento", "did", "different", "discount", "discover", "disfruta", "does", "doing", "don",
    "don't", "down", "dónde", "each", "el", "en", "end", "enjoy", "envío", "es", "ese", "eso",
    "esto", "even", "every", "everyone", "everything", "exclusive", "find", "first", "follow",
    "for", "form", "found", "free", "from", "fue", "get", "gift", "give", "go", "good", "got",
    "gracias", "gratis", "great", "had", "hand", "happy", "has", "hasta", "have", "having",
    "hay", "he", "hello", "help", "her", "here", "hi", "him", "his", "hola", "house", "how",
    "however", "hoy", "hurry", "i", "if", "in", "into", "is", "it", "it's", "items", "its",
    "just", "kind", "know", "land", "large", "las", "le", "learn", "les", "less", "let",
    "let's", "lets", "letter", "like", "limited", "line", "little", "live", "llega", "llegado",
    "llegó", "lo", "long", "los", "love", "made", "make", "man", "many", "may", "means",
    "mejor", "mejores", "men", "message", "miss", "month", "more", "most", "mother", "move",
    "much", "must", "muy", "my", "más", "name", "need", "new", "next", "nosotros", "not",
    "nothing", "notification", "now", "nuestra", "nuestro", "nueva", "nuevas", "nuevo",
    "nuevos", "number", "of", "offer", "oil", "old", "on", "one", "only", "or", "order",
    "other", "our", "out", "page", "people", "perfect", "pero", "picture", "place", "play",
    "please", "point", "price", "product", "producto", "productos", "purchase", "put",
    "quality", "quién", "qué", "rating", "read", "review", "right", "said", "sale", "same",
    "save", "say", "see", "sentence", "set", "she", "shipping", "shop", "should", "siempre",
    "small", "so", "solo", "some", "something", "son", "sorry", "sound", "special", "spell",
    "still", "stock", "store", "study", "su", "such", "sure", "sus", "sí", "sólo", "take",
    "también", "tell", "than", "thank", "thanks", "that", "the", "their", "them", "then",
    "there", "these", "they", "things", "think", "this", "three", "through", "tienda", "tiene",
    "tienen", "tienes", "title", "to", "today", "tomorrow", "too", "try", "turn", "tus", "two",
    "una", "uno", "up", "us", "usted", "ustedes", "very", "want", "was", "water", "way", "we",
    "we're", "week", "weeks", "welcome", "well", "went", "were", "what", "when", "where",
    "which", "who", "why", "will", "with", "word", "work", "world", "would", "write", "y",
    "year", "yesterday", "yo", "you", "you're", "your", "yours",
};

static const char *const formal[] = {
    "ademais", "agradecemos", "aguardamos", "atenciosamente", "comunicado", "comunicamos",
    "comunicar", "conforme", "cordiais", "cordialmente", "destarte", "disponibilizada",
    "disponibilizado", "disponibilizamos", "doravante", "encaminhamos", "estimada", "estimadas",
    "estimado", "estimados", "excelentíssima", "excelentíssimo", "exma", "exmo", "gostaríamos",
    "ilustríssima", "ilustríssimo", "informamos", "informar", "informativo", "lamentamos",
    "lhe", "lhes", "mediante", "outrossim", "prezada", "prezadas", "prezado", "prezados",
    "referente", "respeitosamente", "ressaltamos", "salientamos", "saudações", "senhor",
    "senhora", "senhoras", "senhores", "solicitamos", "solicitar", "solicitação", "sr", "sra",
    "sras", "srs", "supracitada", "supracitado", "vossa", "vossas",
};

/* Words of a request for a push, not of its subject */
static const char *const instructions[] = {
    "abaixo", "aplicativo", "app", "assunto", "avaliação", "avaliações", "avaliou", "avisando",
    "avisar", "avise", "baseada", "baseado", "baseando", "brasil", "brasileira", "brasileiro",
    "breve", "breves", "caractere", "caracteres", "categoria", "celular", "cliente", "clientes",
    "comentário", "comentários", "componha", "compra", "comprador", "compradora", "comprou",
    "consumidor", "consumidora", "contexto", "convidando", "convide", "criar", "criativa",
    "criativas", "criativo", "criativos", "crie", "curta", "curtas", "curto", "curtos",
    "deixou", "deve", "devem", "digital", "e-commerce", "ecommerce", "elabore", "emoji",
    "emojis", "engajar", "engaje", "enviar", "envie", "escreva", "escrever", "estrela",
    "estrelas", "exemplo", "fazer", "faça", "gerar", "gere", "incentivando", "incentive",
    "informais", "informal", "informação", "informações", "instrução", "instruções", "linha",
    "loja", "lojas", "marketing", "mensagem", "mensagens", "monte", "motivo", "motivos",
    "máxima", "máximo", "nota", "notificação", "notificações", "online", "partir", "português",
    "produto", "produtos", "produza", "push", "reais", "redija", "responda", "responder",
    "review", "seguinte", "seguintes", "seja", "sobre", "tarefa", "tema", "texto", "textos",
    "tom", "usando", "use", "usuária", "usuário", "usuários", "virtual", "você", "única",
    "único",
};

/* Words about the push instead of a push */
static const char *const meta[] = {
    "assistente", "caractere", "caracteres", "elabore", "emoji", "emojis", "escreva",
    "markdown", "notificação", "notificações", "placeholder", "prompt", "push", "redija",
    "subtítulo", "título",
};

/* clang-format on */

/* In the order of enum push_list. */
static const struct {
    const char *const *words;
    size_t n;
} lists[PUSH_LISTS] = {
    {prepositions, sizeof prepositions / sizeof *prepositions},
    {contractions, sizeof contractions / sizeof *contractions},
    {articles, sizeof articles / sizeof *articles},
    {conjunctions, sizeof conjunctions / sizeof *conjunctions},
    {possessives, sizeof possessives / sizeof *possessives},
    {grammar, sizeof grammar / sizeof *grammar},
    {reader, sizeof reader / sizeof *reader},
    {imperatives, sizeof imperatives / sizeof *imperatives},
    {verbs, sizeof verbs / sizeof *verbs},
    {common, sizeof common / sizeof *common},
    {foreign, sizeof foreign / sizeof *foreign},
    {formal, sizeof formal / sizeof *formal},
    {instructions, sizeof instructions / sizeof *instructions},
    {meta, sizeof meta / sizeof *meta},
};

const char *push_list_word(enum push_list list, size_t i)
{
    return i < lists[list].n ? lists[list].words[i] : NULL;
}

/* --- all lists in one table: word → lists --- */

enum { SLOTS = 8192 };

struct slot {
    uint32_t tag;   /* of the word's hash */
    uint16_t lists; /* 0: free */
    uint16_t length;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Constant once they are made. */
static struct slot slots[SLOTS];
static const char *slot_words[SLOTS];

/* The word's slot, or the free one where it would stand. */
static size_t slot_of(struct slice word, uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash >> 32);
    size_t i = (size_t)hash % SLOTS;
    while (slots[i].lists && !(slots[i].tag == tag && slots[i].length == word.length &&
                               memcmp(slot_words[i], word.data, word.length) == 0))
        i = (i + 1) % SLOTS;
    return i;
}

static void make_table(void)
{
    _Static_assert(PUSH_LISTS <= 16, "a slot has 16 bits for lists");
    size_t used = 0;
    for (int list = 0; list < PUSH_LISTS; list++)
        for (size_t k = 0; k < lists[list].n; k++) {
            struct slice word = {lists[list].words[k], strlen(lists[list].words[k])};
            uint64_t hash = push_word_hash(word);
            size_t i = slot_of(word, hash);
            used += slots[i].lists == 0;
            CHECK(used < SLOTS / 2);
            slots[i].tag = (uint32_t)(hash >> 32);
            slots[i].length = (uint16_t)word.length;
            slots[i].lists = (uint16_t)(slots[i].lists | 1U << list);
            slot_words[i] = word.data;
        }
}

uint64_t push_word_hash(struct slice word)
{
    return hash_bytes(word.data, word.length, 0);
}

unsigned push_hashed_word_lists(struct slice word, uint64_t hash)
{
    pthread_once(&once, make_table);
    return slots[slot_of(word, hash)].lists;
}

unsigned push_word_lists(struct slice word)
{
    return push_hashed_word_lists(word, push_word_hash(word));
}
