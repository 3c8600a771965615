"""Customers as a registry has them: French names with accents, cities, types, numbers.

Nothing is correlated with anything else, nor with the order of the ids: which customers a filter finds
says nothing about where they stand in a list. The same rows are made at every run."""

import csv
import io
import json
import random
import sqlite3
import subprocess
from urllib.parse import quote, urlencode

TIME = 1_785_840_147_000_000
TEN_YEARS = 10 * 365 * 86_400 * 1_000_000

# In the names of one customer in ten each.
TRADES = [
    "Boulangerie", "Électricité", "Plomberie", "Télécoms", "Menuiserie", "Librairie", "Crèmerie",
    "Hôtellerie", "Maçonnerie", "Pépinière",
]
# In the names of a dozen customers, however many there are.
RARE = "Quetzalcóatl"

SURNAMES = """Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon Michel
Lefèvre Leroy Roux David Bertrand Morel Fournier Girard Bonnet Dupont Lambert Fontaine Rousseau
Vincent Müller Lefebvre Faure André Mercier Blanc Guérin Boyer Garnier Chevalier François Legrand
Gauthier Garcia Perrin Robin Clément Morin Nicolas Henry Roussel Mathieu Gautier Masson Marchand
Duval Denis Dumont Marie Lemaire Noël Meyer Dufour Meunier Brun Blanchard Giraud Joly Rivière Lucas
Brunet Gaillard Barbier Arnaud Martínez Gérard Roche Renard Schmitt Roy Leroux Colin Vidal Caron
Picard Roger Fabre Aubert Lemoine Renaud Dumas Lacroix Olivier Philippe Bourgeois Pierre Benoît Rey
Leclerc Payet Rolland Leclercq Guillaume Lecomte López Jean Dupuy Guillot Hubert Berger Carpentier
Sánchez Dupuis Moulin Louis Deschamps Huet Vasseur Pérez Boucher Fleury Royer Klein Jacquet Adam
Paris Poirier Marty Aubry Guyot Carré Charles Renault Charpentier Ménard Maillard Baron Bertin Bailly
Hervé Schneider Fernández Collet Léger Bouvier Julien Prévost Millet Perrot Daniel Le‑Goff Cousin
Germain Breton Besson Langlois Rémy Pelletier Lévêque Perrier Leblanc Barré Lebrun Marchal Weber
Mallet Hamon Boulanger Jacob Monnier Michaud Rodríguez Guichard Gillet Étienne Grondin Poulain Œuvrard
Cœur Bœuf Łukasiewicz Ångström Sørensen Čapek Đorđević Straße Ñíguez Ÿsebaert""".split()
BRANDS = ["", "", "", " & Fils", " & Associés", " Frères", " Océan", " d'Été", " du Château", " L'Œillet"]
CITIES = """Paris Marseille Lyon Toulouse Nice Nantes Montpellier Strasbourg Bordeaux Lille Rennes
Reims Saint-Étienne Toulon Grenoble Dijon Angers Nîmes Villeurbanne Clermont-Ferrand Le-Mans Aix
Brest Tours Amiens Limoges Annecy Perpignan Boulogne Metz Besançon Orléans Rouen Mulhouse Caen Nancy
Argenteuil Saint-Denis Béziers Évry""".split()
STREETS = ["rue de la Paix", "avenue de la République", "boulevard Voltaire", "allée des Chênes",
           "place de l'Église", "chemin des Prés", "impasse du Moulin", "quai Élisée-Reclus"]
# Half of all are the first.
TYPES = ["SAS"] * 5 + ["SARL", "SARL", "EURL", "SA", "Association"]

COLUMNS = """id brand_id representative_id customer_account account_key accounts_reference name brand
registration_number tax_registration_number company_type capital main_address_line1
main_address_postal_code main_address_city main_address_country email_address website active
is_reseller reseller_level charge_vat apply_vat_auto_reverse_operators on_call_duty vip more created_at
updated_at""".split()
BOOLEANS = {"active", "is_reseller", "charge_vat", "apply_vat_auto_reverse_operators", "on_call_duty",
            "vip"}

# What the migration to tables of keys does with customers of before: the service makes the keys anew.
AROUND = """
    INSERT INTO customer_keys (id, customer_account, name, brand_id, representative_id, active,
        is_reseller, on_call_duty, vip, created_at, updated_at, searched_text, fold_version)
    SELECT id, '', '', brand_id, representative_id, active, is_reseller, on_call_duty, vip, created_at,
        updated_at, '', 0 FROM customers ORDER BY id;
    INSERT INTO customer_history (customer_id, at, actor, action, request_id, changes)
    SELECT id, created_at, 'import', 'created', 'bench',
        {json_object}('name', {json_object}('from', NULL, 'to', name)) FROM customers ORDER BY id;
    UPDATE customer_totals SET live = {rows} WHERE slot = 0;"""


class Registry:
    """So many customers, the same ones each time."""

    def __init__(self, rows, seed=7):
        self.rows = rows
        self.random = random.Random(seed)
        rare = random.Random(seed).sample(range(1, rows + 1), min(12, rows))
        self.rare = set(rare)

    def one_of(self, those):
        return those[int(self.random.random() * len(those))]

    def digits(self, count):
        return f"{int(self.random.random() * 10 ** count):0{count}}"

    def is_in(self, hundred):
        return self.random.random() * 100 < hundred

    def customers(self):
        """Their rows, the values in the order of COLUMNS."""
        for id_ in range(1, self.rows + 1):
            yield self.customer(id_)

    def customer(self, id_):
        one_of, digits = self.one_of, self.digits
        surname = one_of(SURNAMES)
        name = f"{one_of(TRADES)} {surname}{one_of(BRANDS)}"
        if id_ in self.rare:
            name += f" {RARE}"
        account = f"CL{id_:06}"
        siren = digits(9)
        created = TIME - int(self.random.random() * TEN_YEARS)
        more = {"phone": f"0{one_of('1234589')}{digits(8)}"}
        if self.is_in(60):
            more["mobilePhone"] = f"+336{digits(8)}"
        if self.is_in(10):
            more["comment"] = f"Rappeler {surname} après les congés d'été, dossier n° {digits(6)}."
        return (
            id_, int(one_of("11111234")), int(digits(2)) % 40 + 1 if self.is_in(70) else None,
            account, account.lower(), f"411{digits(6)}" if self.is_in(50) else None,
            name, surname if self.is_in(30) else None, siren, f"FR{digits(2)}{siren}",
            one_of(TYPES), one_of(["1000", "8000", "37 000", "150000"]),
            f"{int(digits(2)) + 1} {one_of(STREETS)}", digits(5), one_of(CITIES), "France",
            f"contact.{digits(7)}@example.fr", f"https://{digits(6)}.example.fr" if self.is_in(40) else None,
            not self.is_in(5), self.is_in(3), 0, True, False, self.is_in(10), self.is_in(2),
            json.dumps(more, ensure_ascii=False), created,
            created + int(self.random.random() * (TIME - created)),
        )

    def queries(self, count):
        """New customers as clients send them: everything in the query string, without an account."""
        sent = {"name": "name", "brand": "brand", "registration_number": "registrationNumber",
                "tax_registration_number": "taxRegistrationNumber", "company_type": "type",
                "main_address_line1": "mainAddressLine1", "main_address_city": "mainAddressCity",
                "main_address_postal_code": "mainAddressPostalCode", "email_address": "emailAddress"}
        for number in range(count):
            row = dict(zip(COLUMNS, self.customer(self.rows + 1 + number)))
            query = {sent[column]: row[column] for column in sent if row[column] is not None}
            yield urlencode({**query, **json.loads(row["more"])}, quote_via=quote)


def fill_sqlite(path, rows):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    places = ", ".join("?" * len(COLUMNS))
    connection.executemany(f"INSERT INTO customers ({', '.join(COLUMNS)}) VALUES ({places})",
                           Registry(rows).customers())
    for statement in AROUND.format(rows=rows, json_object="json_object").split(";"):
        connection.execute(statement)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def fill_postgres(psql, rows):
    """`psql` is the command that opens the database."""
    filling = subprocess.Popen(
        [*psql, "-c", f"COPY customers ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv)"],
        stdin=subprocess.PIPE)
    text = io.TextIOWrapper(filling.stdin, encoding="utf-8", newline="")
    csv.writer(text).writerows(Registry(rows).customers())
    text.close()
    if filling.wait() != 0:
        raise SystemExit("PostgreSQL was not filled")
    around = AROUND.format(rows=rows, json_object="json_build_object")
    around += f"SELECT setval('customers_id', {rows});"
    subprocess.run([*psql, "-c", around], check=True, stdout=subprocess.DEVNULL)
