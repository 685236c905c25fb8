from unittest import TestCase

from shelf import JARS, app


class Shelf(TestCase):
    def test_answers(self):
        client = app.test_client()
        self.assertEqual(client.get("/").json, JARS)
        self.assertEqual(client.get("/plum").json, {"plum": 3})
        self.assertEqual(client.get("/tar").status_code, 404)
