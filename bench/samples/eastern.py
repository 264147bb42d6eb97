"""Nizhneozersk (Russian), two suppliers (Chinese, Japanese), and two posters whose scripts must be shaped (Arabic, Hindi)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from reportlab.graphics.shapes import Drawing, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Spacer

from . import fonts, paper, scan

CHARACTERS = Path(__file__).read_text(encoding="utf-8")
"""Every character this module may print: the CJK fonts are cut down to them."""


def library_letter() -> bytes:
    """A typewritten letter of the lake library, scanned."""
    typed = fonts.single("Typewriter")
    look = paper.Look(family=typed, size_pt=11)

    def page(canvas: Canvas) -> None:
        left, wide, top = 26 * mm, 158 * mm, A4[1]
        canvas.setFont(typed, 11)
        for i, line in enumerate(("Озёрная библиотека", "г. Нижнеозёрск, Набережная, 3", "Исх. N 47 от 12 сентября 2023 г.")):
            canvas.drawString(left, top - (26 + 6 * i) * mm, line)
        for i, line in enumerate(("Стадтбюхерай Брюквальде", "господину Йенсу Петерсону")):
            canvas.drawString(108 * mm, top - (52 + 6 * i) * mm, line)
        y = top - 78 * mm
        for block in (
            "Уважаемый господин Петерсон!",
            "Ваша посылка пришла вчера, двенадцать дней в пути, и ни одна книга не намокла. Все двадцать шесть томов уже стоят на "
            "отдельной полке у окна. Сказки братьев Гримм взяли в первый же час: их читает по слогам девочка семи лет, а её бабушка "
            "поправляет ударения.",
            "Посылаем вам в ответ четырнадцать книг и одну карту озера 1911 года (копию). На карте отмечена мель, о которой вы "
            "спрашивали: она лежит в трёхстах саженях к северу от маяка, а не к югу, как напечатано в вашем путеводителе.",
            "Крыша у нас больше не течёт. Солнечные батареи, которые помогли поставить ваши друзья, дают свет в читальном зале до "
            "восьми вечера, а зимой хватает на лампы и на чайник, если не включать их вместе.",
            "Приезжайте в июне, когда ночи белые: читать можно без лампы до полуночи.",
        ):
            y = paper.paragraph(canvas, look.text(block, leading=16.8), left, y, wide) - 4 * mm
        canvas.setFillColor(HexColor("#000000"))
        canvas.drawString(left, y - 8 * mm, "Заведующая")
        canvas.drawString(118 * mm, y - 8 * mm, "Т. В. Лыкова")
        canvas.setStrokeColor(HexColor("#1b2a6b"))
        canvas.setLineWidth(1.3)
        path = canvas.beginPath()
        path.moveTo(72 * mm, y - 8 * mm)
        for x0, y0, x1, y1, x2, y2 in ((76, 8, 78, 8, 79, -6), (80, 4, 84, 5, 85, -5), (87, 2, 90, 3, 92, -5), (96, 0, 102, 0, 110, -2)):
            path.curveTo(x0 * mm, y + y0 * mm, x1 * mm, y + y1 * mm, x2 * mm, y + y2 * mm)
        canvas.drawPath(path)

    pdf = paper.drawn([page], title="", author="", language="ru")
    sheet = scan.scanned(scan.rendered(pdf, dpi=110)[0], seed=47, angle=-0.8, paper=249, ink=45, noise=0, blur=0.5)
    return scan.png(sheet, levels=12)


def reader_rules() -> bytes:
    look = paper.Look(family=fonts.family("NotoSerif"), colour="#2b4a6f", size_pt=11.6)

    def story() -> list[Flowable]:
        return [
            look.text("Озёрная библиотека, Нижнеозёрск", textColor=HexColor("#666666")),
            look.title("Памятка читателя", scale=2.4),
            look.text("<i>Утверждена на собрании читателей 3 февраля 2024 года</i>"),
            look.heading("Запись"),
            look.text(
                "Записаться может каждый, кто живёт на озере или приехал к нему. Нужен паспорт или свидетельство о рождении; детям до "
                "четырнадцати лет ещё и кто-нибудь из взрослых. Билет бесплатный. Потерянный билет восстанавливают за одну стихотворную "
                "строку наизусть."
            ),
            look.heading("Сколько и на какой срок"),
            look.table(
                [
                    ["Что выдаётся", "Сколько", "Срок", "Можно продлить"],
                    ["Книги", "до 6", "21 день", "дважды"],
                    ["Журналы", "до 4", "7 дней", "нет"],
                    ["Пластинки", "до 3", "14 дней", "один раз"],
                    ["Карты и атласы", "1", "3 дня", "нет"],
                    ["Счётчик электричества", "1", "10 дней", "один раз"],
                    ["Лыжи, детские", "1 пара", "до оттепели", "—"],
                ],
                widths_mm=[58, 30, 38, 40],
            ),
            Spacer(1, 6),
            look.heading("Если книга задержалась"),
            look.text(
                "Штрафов у нас нет. За каждую неделю опоздания читатель приносит одно полено для печи читального зала. В прошлую зиму "
                "так набралось двести одиннадцать поленьев, и мы благодарим тех, кто опаздывал."
            ),
            look.heading("Часы работы"),
            look.table(
                [
                    ["", "Зима (ноябрь – март)", "Лето (апрель – октябрь)"],
                    ["Вторник – пятница", "11:00 – 18:00", "10:00 – 20:00"],
                    ["Суббота", "10:00 – 16:00", "10:00 – 18:00"],
                    ["Воскресенье", "12:00 – 16:00", "закрыто"],
                    ["Понедельник", "закрыто", "закрыто"],
                ],
                widths_mm=[48, 58, 60],
            ),
            PageBreak(),
            look.heading("Лодка-библиотека"),
            look.text(
                "С мая по сентябрь лодка «Буква» обходит деревни на другом берегу: в первый и третий четверг месяца Сосновку, Каменный "
                "Нос и Верхние Пожни. На борту триста книг. Стоит она по сорок минут; гудок один раз значит «пришли», два раза — "
                "«уходим». Волна выше полуметра — лодка остаётся дома."
            ),
            look.heading("Читальный зал"),
            look.text(
                "В зале двадцать два места, из них шесть у окна. Разговаривать можно вполголоса, смеяться — в полный голос. Чай стоит "
                "десять рублей, самовар ставит тот, кто пришёл первым. Кошку Закладку кормить не надо: её уже кормили."
            ),
            look.heading("Редкий фонд"),
            look.text(
                "Дневники смотрителя маяка Егора Панина (1889–1916, девять тетрадей) выдаются только в зале, в присутствии Тамары "
                "Вениаминовны Лыковой, по средам. Фотографировать можно без вспышки. Переписывать можно сколько угодно."
            ),
            look.heading("Как подарить книгу"),
            look.text(
                "Принесите её и скажите, почему она вам больше не нужна. Это записывают на карточку и вкладывают в книгу: многие берут "
                "её из-за карточки. Учебники старше двадцати лет и собрания сочинений без первого тома не принимаются."
            ),
        ]

    return paper.document(
        story,
        title="Памятка читателя",
        author="Озёрная библиотека",
        language="ru",
        decorate=paper.footer(look, "Памятка читателя · Озёрная библиотека", lambda n, total: f"стр. {n} из {total}"),
    )


def module_quotation() -> bytes:
    look = paper.Look(family=fonts.cjk("zh", CHARACTERS), colour="#a4262c", size_pt=12, wrap="CJK")

    def story() -> list[Flowable]:
        return [
            look.text("江州明光新能源有限公司 · 江州市高新区望江路 88 号", textColor=HexColor("#666666"), scale=0.9),
            look.title("光伏组件报价单", scale=2.2),
            look.table(
                [
                    ["报价编号", "MG-2024-0623", "日期", "2024 年 6 月 23 日"],
                    ["客户", "塔恩贝克社区能源公司", "联系人", "托马什·布罗德卡"],
                    ["有效期", "三十天", "销售经理", "林晓岚"],
                ],
                widths_mm=[26, 60, 26, 54],
                stripes=False,
                extra=[("BACKGROUND", (0, 0), (-1, 0), HexColor("#7a7a7a"))],
            ),
            Spacer(1, 10),
            look.text("尊敬的布罗德卡先生："),
            look.text(
                "感谢您五月二十八日的来信。按照您提供的游泳馆屋顶图纸，我们建议采用以下设备，全部为现货，可在合同签订后十五天内装船。"
            ),
            look.table(
                [
                    ["序号", "产品名称", "型号", "数量", "单价（元）", "金额（元）"],
                    ["1", "单晶双玻组件，410 瓦", "MG-410D", "118", "368.00", "43,424.00"],
                    ["2", "防风压块，加强型", "YK-55", "520", "6.50", "3,380.00"],
                    ["3", "铝合金导轨，4.2 米", "DG-42", "96", "84.00", "8,064.00"],
                    ["4", "直流电缆，每卷 100 米", "DC-6B", "7", "395.00", "2,765.00"],
                    ["5", "木托盘及防潮包装", "—", "4", "220.00", "880.00"],
                    ["", "合计", "", "", "", "58,513.00"],
                ],
                widths_mm=[14, 58, 25, 17, 25, 27],
                numeric=[3, 4, 5],
                total=True,
            ),
            Spacer(1, 6),
            look.text("以上价格不含海运费和进口税。付款方式：签约时预付百分之三十，装船前付清余款。"),
            PageBreak(),
            look.heading("技术参数"),
            look.table(
                [
                    ["项目", "数值"],
                    ["最大功率", "410 瓦（公差 0 至 +5 瓦）"],
                    ["开路电压", "37.3 伏"],
                    ["短路电流", "13.9 安"],
                    ["组件尺寸", "1722 × 1134 × 30 毫米"],
                    ["重量", "24.5 千克"],
                    ["抗风压", "2400 帕"],
                    ["抗雪压", "5400 帕"],
                ],
                widths_mm=[60, 106],
            ),
            look.heading("质量保证"),
            look.text("产品质量保证十五年，功率保证三十年：第一年衰减不超过百分之一，以后每年不超过百分之零点四。"),
            look.text("压块 YK-55 经过每秒五十五米的风洞试验，报告编号 FD-2024-019。如在保证期内松动，由我公司免费更换，并承担往返运费。"),
            look.heading("交货与验收"),
            look.text(
                "交货地点：江州港。包装为四个木托盘，总重约三千一百千克。收货后十天内请开箱检查。如有破碎，请拍照寄给林晓岚，我们在两个工作日内答复。"
            ),
            look.text("随货附送黑色边框样品一块，以及茶叶一盒，不计价。"),
            Spacer(1, 16),
            look.text("江州明光新能源有限公司<br/>销售经理　林晓岚"),
        ]

    return paper.document(
        story,
        title="光伏组件报价单 MG-2024-0623",
        author="江州明光新能源有限公司",
        language="zh-CN",
        decorate=paper.footer(look, "MG-2024-0623", lambda n, total: f"第 {n} 页，共 {total} 页"),
    )


def inverter_guide() -> bytes:
    look = paper.Look(family=fonts.cjk("ja", CHARACTERS), colour="#00577a", size_pt=12, wrap="CJK")

    def panel() -> Drawing:
        """The front of the inverter: display, three lamps, two buttons."""
        picture = Drawing(166 * mm, 52 * mm)
        picture.add(
            Rect(28 * mm, 2 * mm, 110 * mm, 48 * mm, 4 * mm, 4 * mm, fillColor=HexColor("#e9eef1"), strokeColor=HexColor("#8a979e"))
        )
        picture.add(Rect(38 * mm, 24 * mm, 50 * mm, 18 * mm, fillColor=HexColor("#203038"), strokeColor=None))
        picture.add(String(44 * mm, 30 * mm, "3.84 kW", fontName="Mono", fontSize=20, fillColor=HexColor("#9fe3c1")))
        for i, (colour, name) in enumerate((("#3ba55d", "運転"), ("#e8a33d", "注意"), ("#c8372d", "異常"))):
            picture.add(
                Rect((100 + 11 * i) * mm, 34 * mm, 5 * mm, 5 * mm, 2.5 * mm, 2.5 * mm, fillColor=HexColor(colour), strokeColor=None)
            )
            picture.add(String((102.5 + 11 * i) * mm, 28 * mm, name, fontName=look.family, fontSize=8, textAnchor="middle"))
        for i, name in enumerate(("表示切替", "再起動")):
            picture.add(
                Rect(
                    (40 + 28 * i) * mm,
                    8 * mm,
                    22 * mm,
                    9 * mm,
                    2 * mm,
                    2 * mm,
                    fillColor=HexColor("#ffffff"),
                    strokeColor=HexColor("#8a979e"),
                )
            )
            picture.add(String((51 + 28 * i) * mm, 11 * mm, name, fontName=look.family, fontSize=9, textAnchor="middle"))
        return picture

    fonts.single("Mono")

    def story() -> list[Flowable]:
        return [
            look.text("潮風精機株式会社　Shiokaze Seiki Co., Ltd.", textColor=HexColor("#666666")),
            look.title("パワーコンディショナ SK-5　かんたんガイド", scale=1.7),
            look.text(
                "お買い上げありがとうございます。設置は必ず有資格者が行ってください。この冊子は、日々の点検と、ランプが点いたときの対応をまとめたものです。"
            ),
            Spacer(1, 4),
            panel(),
            look.text("図1　前面パネル", scale=0.85, alignment=1),
            look.heading("毎日の確認"),
            look.text(
                "緑の「運転」ランプが点灯していれば正常です。日の出から約十五分後に自動で起動し、日没後に停止します。夜間に表示が消えるのは故障ではありません。"
            ),
            look.heading("仕様"),
            look.table(
                [
                    ["項目", "SK-5", "SK-8"],
                    ["定格出力", "5.0 kW", "8.0 kW"],
                    ["最大入力電圧", "600 V", "1000 V"],
                    ["変換効率", "97.2 %", "97.8 %"],
                    ["使用温度", "−20 ～ +50 ℃", "−20 ～ +50 ℃"],
                    ["質量", "14.2 kg", "21.6 kg"],
                    ["通信", "Modbus RTU（RS-485）", "Modbus RTU（RS-485）"],
                ],
                widths_mm=[50, 58, 58],
            ),
            PageBreak(),
            look.heading("エラーコード一覧　Error codes", scale=1.6),
            look.text("赤いランプが点灯したら、表示部のコードを読み取り、次の表に従ってください。"),
            look.table(
                [
                    ["コード", "意味", "対応"],
                    ["E-11", "系統電圧が高い", "三分待つと自動で復帰します。一日に五回以上出る場合は電力会社へ連絡してください。"],
                    ["E-12", "系統電圧が低い", "ブレーカを確認してください。"],
                    [
                        "E-24",
                        "絶縁抵抗の低下",
                        "雨の翌朝に出ることがあります。乾いても消えないときは、コネクタの水濡れを点検してください。",
                    ],
                    [
                        "E-31",
                        "内部ファンの停止",
                        "電源を切り、十分間冷ましてから、吸気口のほこりを取り除きます。"
                        "直らなければファン（部品番号 SF-0418）を交換します。",
                    ],
                    ["E-36", "内部温度が高い", "本体の上を三十センチ以上空けてください。"],
                    ["E-42", "通信の途絶", "RS-485 の配線 A と B が逆になっていないか、終端抵抗 120 Ω があるかを確認してください。"],
                    ["E-57", "直流地絡", "触らないでください。直ちに設置業者を呼んでください。"],
                ],
                widths_mm=[20, 42, 104],
            ),
            Spacer(1, 8),
            look.heading("再起動のしかた"),
            look.text("1. 「再起動」ボタンを五秒間押し続けます。　2. 表示が一度消えます。　3. 三分後に緑のランプが点けば完了です。"),
            PageBreak(),
            look.heading("お手入れ"),
            look.text(
                "年に二回、春と秋に、吸気口の網を外して柔らかいブラシで掃除してください。水や洗剤は使わないでください。海から二キロ以内では年に四回をおすすめします。"
            ),
            look.heading("データの読み出し"),
            look.text(
                "発電量は Modbus のレジスタ 30021（瞬時電力、単位 W）と 30027（積算電力量、単位 0.1 kWh）から読めます。"
                "読み出しの間隔は一秒以上空けてください。"
            ),
            look.heading("保証と連絡先"),
            look.text("保証期間は設置日から十年です。塩害地域では七年になります。保証書と設置写真を保管してください。"),
            look.text("潮風精機　お客様窓口（汐見工場）　平日 9:00 ～ 17:00　担当：真鍋・小野寺"),
        ]

    return paper.document(
        story,
        title="SK-5 かんたんガイド",
        author="潮風精機株式会社",
        language="ja",
        decorate=paper.footer(look, "Shiokaze Seiki · SK-5 かんたんガイド　第4版（2022年10月）", lambda n, total: f"{n} / {total}"),
    )


def shaped(script: str, size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """A Noto face whose letters join as the script asks: Pillow draws it with raqm."""
    name = {"ar": "NotoNaskhArabic", "hi": "NotoSansDevanagari"}[script]
    file = fonts.TRUETYPE / f"noto/{name}-{'Bold' if bold else 'Regular'}.ttf"
    return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.RAQM)


def kitchen_poster() -> bytes:
    """A poster in Arabic: the Neighbours' Kitchen invites to supper."""
    width, height = 900, 1240
    picture = Image.new("RGB", (width, height), "#fdf6ec")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, width, 300), fill="#0f6b66")
    for i in range(18):
        x = 50 * i
        draw.polygon([(x, 300), (x + 25, 330), (x + 50, 300), (x + 25, 270)], fill="#e7b24c")
    draw.text(
        (width / 2, 120), "مطبخ الجيران", font=shaped("ar", 110, bold=True), fill="#fdf6ec", anchor="mm", direction="rtl", language="ar"
    )
    draw.text(
        (width / 2, 222), "عشاء مشترك كل يوم خميس", font=shaped("ar", 46), fill="#f6dfae", anchor="mm", direction="rtl", language="ar"
    )

    draw.ellipse((300, 372, 600, 672), fill="#e7b24c")
    draw.ellipse((330, 402, 570, 642), fill="#fff8ea")
    draw.ellipse((365, 437, 535, 607), fill="#b5482f")
    for dx, dy in ((-40, -30), (25, -45), (45, 20), (-10, 40), (-50, 25), (0, 0)):
        draw.ellipse((450 + dx - 14, 522 + dy - 14, 450 + dx + 14, 522 + dy + 14), fill="#7fa05a")

    y = 730
    for words in (
        "المكان: قاعة السوق، الباب الخلفي",
        "الوقت: من الساعة السادسة إلى الثامنة والنصف مساءً",
        "الطبق هذا الأسبوع: مجدّرة بالعدس والبصل المقلي",
        "الطعام مجاني، ومن يرغب يساعد في التقطيع من الخامسة",
        "للحجز: السيدة سلمى حدّاد، مكتبة المدينة",
    ):
        draw.text((width - 90, y), words, font=shaped("ar", 37), fill="#22312f", anchor="rs", direction="rtl", language="ar")
        draw.ellipse((width - 72, y - 18, width - 58, y - 4), fill="#0f6b66")
        y += 82
    draw.text(
        (width / 2, 1178),
        "أهلاً وسهلاً بالجميع",
        font=shaped("ar", 52, bold=True),
        fill="#b5482f",
        anchor="mm",
        direction="rtl",
        language="ar",
    )
    return scan.png(picture, levels=32)


def kite_poster() -> bytes:
    """A poster in Hindi: the kite fair."""
    width, height = 900, 1240
    picture = Image.new("RGB", (width, height), "#bfe3f2")
    draw = ImageDraw.Draw(picture)
    for cx, cy, size, first, second in (
        (200, 180, 95, "#e4572e", "#f3a712"),
        (700, 215, 115, "#7b2d8b", "#e85d9e"),
        (440, 120, 60, "#2e8b57", "#f7e463"),
    ):
        draw.polygon([(cx, cy - size), (cx + size * 0.75, cy), (cx, cy)], fill=first)
        draw.polygon([(cx, cy - size), (cx - size * 0.75, cy), (cx, cy)], fill=second)
        draw.polygon([(cx, cy + size), (cx + size * 0.75, cy), (cx, cy)], fill=second)
        draw.polygon([(cx, cy + size), (cx - size * 0.75, cy), (cx, cy)], fill=first)
        tail = [(cx + (16 if i % 2 else -16), cy + size + 20 * i) for i in range(5)]
        draw.line([(cx, cy + size), *tail[1:]], fill="#44565e", width=3)
    draw.polygon([(0, 1240), (0, 1120), (220, 1060), (480, 1115), (720, 1050), (900, 1100), (900, 1240)], fill="#5c9a5b")

    def line(y: float, words: str, size: int, colour: str, *, bold: bool = False) -> None:
        draw.text((width / 2, y), words, font=shaped("hi", size, bold=bold), fill=colour, anchor="mm", language="hi")

    line(510, "पतंग मेला", 128, "#7b1e3a", bold=True)
    line(610, "टार्नबेक के खेल मैदान में", 50, "#22313a")
    draw.rounded_rectangle((110, 670, 790, 790), 24, fill="#7b1e3a")
    line(728, "रविवार, १४ जनवरी, दोपहर ११ बजे से", 42, "#fff3dc", bold=True)
    line(850, "पतंग बनाना सिखाएँगे: मीना जोशी और हरि शर्मा", 38, "#22313a")
    line(912, "तिल के लड्डू, गरम चाय और गाजर का हलवा", 38, "#22313a")
    line(974, "बच्चों का प्रवेश निःशुल्क, बड़ों के लिए दो पाउंड", 38, "#22313a")
    line(1180, "कृपया काँच लगा माँझा न लाएँ", 40, "#ffffff", bold=True)
    return scan.png(picture, levels=32)


DOCUMENTS = {
    "nizhneozersk/pismo-2023-09-12.png": library_letter,
    "nizhneozersk/pamyatka-chitatelya.pdf": reader_rules,
    "suppliers/mingguang-quotation-mg-2024-0623.pdf": module_quotation,
    "suppliers/shiokaze-sk-5-guide.pdf": inverter_guide,
    "tarnbeck/neighbours-kitchen-poster-ar.png": kitchen_poster,
    "tarnbeck/kite-fair-poster-hi.png": kite_poster,
}
